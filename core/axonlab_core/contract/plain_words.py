"""What pydantic found wrong, in the words that command line, notebook and service all use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axonlab_core.contract.kinds import Kind

# Tags of unions appear in pydantic's locations, and nothing that people write has a field of that name.
_TAGS = frozenset({*Kind, "job", "upload", "step", "progress", "metric", "log", "warning", "checkpoint", "state"})
_IN = frozenset({"body", "query", "path", "header"})
_KEY = "[key]"


def in_plain_words(problems: Sequence[Any]) -> str:
    """One sentence that names the field: the first problem of pydantic's list."""
    first = problems[0]
    kind = first["type"]
    path = [str(part) for part in first["loc"] if part not in _IN]
    if path and path[-1] == _KEY:  # the name itself is wrong, and the message shows it
        path = path[:-2]
    field = ".".join(part for part in path if part not in _TAGS) or ".".join(path)
    if kind == "extra_forbidden":
        return f"{field} is not a field that is known here."
    if kind == "missing":
        return f"{field} is missing."
    message = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    return f"{field}: {message[:1].lower()}{message[1:]}." if field else f"{message[:1].upper()}{message[1:]}."
