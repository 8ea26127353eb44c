"""What a form sends."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from axonlab_core.contract.errors import BadInput

_MAX_FIELDS = 20
_KIND = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises
    ------
    BadInput
        If the body is something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise BadInput("This address takes forms only.", remedy="Open the page and use its button.")
    try:
        fields = parse_qsl((await request.body()).decode("ascii"), max_num_fields=_MAX_FIELDS, strict_parsing=True)
    except ValueError as error:
        raise BadInput("The form cannot be read.", remedy="Load the page again, then use its button.") from error
    return dict(fields)
