"""Names and values that may be handed to a job notebook.

Papermill pastes a parameter's *name* into code (`name = value`), so a name is checked here, before any
process of ours sees it; values are rendered by papermill as literals.
"""

from __future__ import annotations

import builtins
import keyword
import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

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
            f"{name!r} cannot be a parameter's name: use lower-case letters, digits and underscores, starting with a "
            "letter, at most 60 of them, and no name that Python uses itself"
        )
        raise ValueError(msg)
    return name


ParameterName = Annotated[str, AfterValidator(check_parameter_name)]
ParameterValue = bool | int | float | Annotated[str, StringConstraints(max_length=1000)]
Parameters = Annotated[dict[ParameterName, ParameterValue], Field(max_length=50)]
