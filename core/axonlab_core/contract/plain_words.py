"""What pydantic found wrong, in the words that command line, notebook and service all use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from axonlab_core.contract.base import shortened
from axonlab_core.contract.kinds import Kind

# Tags of unions appear in pydantic's locations, and nothing that people write has a field of that name.
_TAGS = frozenset(
    {*Kind, "job", "upload", "published", "step", "progress", "metric", "log", "warning", "checkpoint", "state"}
)
_IN = frozenset({"body", "query", "path", "header"})
_KEY = "[key]"
_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "dict": "an object",
    "model": "an object",
    "mapping": "an object",
    "tuple": "a list",
    "list": "a list",
    "datetime": "a time with its zone",
}
_RULES = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "union_tag_not_found": "said",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text of at least {min_length} characters",
    "string_unicode": "text in Unicode",
    "too_long": "a list of at most {max_length} entries",
    "too_short": "a list of at least {min_length} entries",
    "parameter_value": "{wanted}",
}
_PATTERNS = {
    r"^[0-9a-f]{64}$": "a SHA-256 in hexadecimal (64 of 0-9 and a-f)",
    r"^[0-9a-z]{8,40}$": "an id as the service gives it (8 to 40 of 0-9 and a-z)",
    r"^[\x21-\x7e]{1,100}$": "1 to 100 visible ASCII characters, without spaces",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$": "1 to 63 of A-Z, a-z, 0-9 and _ . - (first a letter or digit)",
    r"^[A-Za-z][A-Za-z0-9 _-]{0,39}$": "1 to 40 of A-Z, a-z, 0-9, spaces and _ - (first a letter)",
    r"^#[0-9a-f]{6}$": "a colour such as #0072b2",
}


def in_plain_words(problems: Sequence[Any]) -> str:
    """One sentence that names the field: the first problem of pydantic's list."""
    first = problems[0]
    kind, given, context = first["type"], first.get("input"), first.get("ctx") or {}
    path = [str(part) for part in first["loc"]]
    tags = frozenset[str]() if path[:1] in (["query"], ["path"], ["header"]) else _TAGS
    path = path[1:] if path and path[0] in _IN else path
    if path and path[-1] == _KEY:  # the name itself is wrong, and the message shows it
        path = []
    field = ".".join(part for part in path if part not in tags) or ".".join(path)
    if kind == "extra_forbidden":
        return f"{field} is not a field that is known here."
    if kind == "missing":
        return f"{field} is missing."
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        field = f"{field}.{context['discriminator'].strip(chr(39))}".removeprefix(".")
        given = context.get("tag")
    wanted = _wanted(kind, context)
    if wanted is not None:
        what = "nothing" if given is None else shortened(given) if isinstance(given, str) else _number(given)
        return f"{field or 'The whole'} must be {wanted}; {what} was given."
    message = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    return f"{field}: {message[:1].lower()}{message[1:]}." if field else f"{message[:1].upper()}{message[1:]}."


def _wanted(kind: str, context: Mapping[str, Any]) -> str | None:
    """What a value must be; None where pydantic's own words are the best there are."""
    if kind in _RULES:
        return _RULES[kind].format_map({key: _number(value) for key, value in context.items()})
    if kind == "union_tag_invalid":
        return " or ".join(re.findall(r"'\w+'", context["expected_tags"]))
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text like {context['pattern']}")
    start, _, end = kind.partition("_")
    return _WANTED.get(start) if end in ("type", "parsing", "from_float", "attributes_type", "number") else None


def _number(given: Any) -> str:
    """The value for a message; of a list or an object only what it is."""
    if isinstance(given, str):
        return given
    if isinstance(given, (bool, float)):
        return str(given).lower() if isinstance(given, bool) else f"{given:g}"
    if isinstance(given, int):
        return f"{given:,}"
    if isinstance(given, (list, tuple)):
        return f"a list of {len(given):,}"
    return "an object" if isinstance(given, Mapping) else f"something else ({type(given).__name__})"
