"""What the OpenAPI document says beside the models: which errors a route answers with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from axonlab_core.contract.errors import ErrorAnswer

_WHEN = {
    401: "No token, or one that the hub does not know.",
    403: "The token lacks a scope, or this is not yours to do; a link that has expired.",
    404: "There is no such thing, or it belongs to somebody else.",
    408: "The request's body did not arrive in time.",
    409: "The thing is in a state that does not allow this.",
    413: "Over a size limit.",
    422: "A field or a value that cannot be; the message names it.",
    429: "Too many at once.",
    500: "Something went wrong in the service.",
    503: "Something is away for a moment: try again.",
}
_ALWAYS = (401, 403, 408, 413, 422, 429, 500, 503)
Responses = dict[int | str, dict[str, Any]]


def errors(*also: int) -> Responses:
    """The errors that any route may answer with, and these."""
    return {status: {"model": ErrorAnswer, "description": _WHEN[status]} for status in sorted({*_ALWAYS, *also})}


def errors_beside_text(*also: int) -> Responses:
    """The same for a route whose success is no JSON: its errors are."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    return {status: {"content": content, "description": _WHEN[status]} for status in sorted({*_ALWAYS, *also})}


def known(model: type[BaseModel]) -> Responses:
    """The success of a call that was made before."""
    return {200: {"model": model, "description": "It was there already."}}


def routes_table(document: dict[str, Any], prefix: str) -> str:
    """The operations of an OpenAPI document as a Markdown table; `prefix` is what all paths begin with."""
    lines = ["| | takes | gives | |", "| --- | --- | --- | --- |"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            asked = operation.get("requestBody", {}).get("content", {})
            queries = [f"`{given['name']}`" for given in operation.get("parameters", ()) if given["in"] == "query"]
            takes = ", ".join([*filter(None, [_content(asked)]), *queries])
            gives = "; ".join(
                f"{status} {_content(answer.get('content', {}))}".strip()
                for status, answer in operation["responses"].items()
                if status.startswith("2")
            )
            said = operation.get("description", "").splitlines()[0]
            lines.append(f"| `{method.upper()} {path.removeprefix(prefix)}` | {takes} | {gives} | {said} |")
    return "\n".join(lines) + "\n"


def _content(content: dict[str, Any]) -> str:
    for kind, described in content.items():
        if kind != "application/json":
            return kind
        schema = described["schema"]
        names = [part["$ref"].rsplit("/", 1)[1] for part in (schema, *schema.get("anyOf", ())) if "$ref" in part]
        return ", ".join(f"`{name}`" for name in names) or "JSON"
    return ""


LOG: Responses = {
    200: {
        "description": "Lines of text.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "headers": {
            "Axonlab-Next-After": {
                "description": "`after` of the next page.",
                "schema": {"type": "integer", "minimum": 0},
            },
            "Axonlab-More": {
                "description": "Whether there is a next page now.",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
        },
    }
}
BYTES: Responses = {
    200: {"description": "The bytes.", "content": {"application/octet-stream": {"schema": {"format": "binary"}}}},
    206: {"description": "The range that was asked for."},
    416: {"description": "There is no such range."},
}
