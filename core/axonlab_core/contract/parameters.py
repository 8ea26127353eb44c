"""Names and values that may be handed to a job notebook.

Papermill pastes a parameter's *name* into code (`name = value`), so a name is checked here, before any
process of ours sees it; values are rendered by papermill as literals.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from axonlab_core.contract.base import shortened
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.kinds import Kind

PARAMETERS: dict[Kind, dict[str, type[int | float]]] = {
    Kind.train: {
        "batch": int,
        "tile_px": int,
        "learning_rate": float,
        "checkpoint_every_s": float,
        "threads": int,
    },
    Kind.infer: {"tile_px": int, "pixel_size_um": float, "threads": int},
}
"""What a job may set beyond its spec's own fields: the rest of what its notebook declares (a test compares them)."""

_LONGEST = 1000
_PLAIN = re.compile(r"^[a-z][a-z0-9_]{0,59}$")


def check_parameter_name(name: str) -> str:
    """`name`, if it is a plain lower-case Python name that shadows nothing.

    Raises
    ------
    ValueError
        If it is anything else: code, a keyword, a builtin, a private name.
    """
    if not _PLAIN.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        msg = (
            f"{shortened(name)} cannot be a parameter's name: use lower-case letters, digits and underscores, "
            "starting with a letter, at most 60 of them, and no name that Python uses itself"
        )
        raise ValueError(msg)
    return name


def check_declared(kind: Kind, parameters: Mapping[str, Any]) -> None:
    """Return if a job of that kind has these parameters, and they are numbers.

    Raises
    ------
    BadInput
        Otherwise; names the first that is wrong, and those that there are.
    """
    declared = PARAMETERS[kind]
    remedy = f"The parameters of a {kind} job are {', '.join(declared)}."
    for name, value in parameters.items():
        if name not in declared:
            raise BadInput(f"A {kind} job has no parameter {shortened(name)}.", remedy=remedy)
        whole = declared[name] is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise BadInput(
                f"parameters.{name} must be a{' whole' if whole else ''} number; {shortened(str(value))} was given.",
                remedy=remedy,
            )


def _check_value(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        wanted = f"a finite number, true or false, or text of at most {_LONGEST:,} characters"
        raise PydanticCustomError("parameter_value", "must be {wanted}", {"wanted": wanted}) from None


ParameterName = Annotated[str, AfterValidator(check_parameter_name)]
ParameterValue = Annotated[
    bool | int | float | Annotated[str, StringConstraints(max_length=_LONGEST)], WrapValidator(_check_value)
]
Parameters = Annotated[dict[ParameterName, ParameterValue], Field(max_length=50)]
