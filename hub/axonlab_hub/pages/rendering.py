"""Templates into pages, with the headers that every page has."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState
from axonlab_core.contract.steps import step_words
from axonlab_hub.pages import views, words
from axonlab_hub.pages.session import Visitor, sessions_of

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with that, browsers do not say either which site a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def render(
    request: Request, template: str, *, who: Visitor | None = None, status: int = 200, **values: Any
) -> HTMLResponse:
    """The page that the template makes of the values."""
    text = (
        _environment()
        .get_template(template)
        .render(
            prefix=sessions_of(request).prefix,
            person=None if who is None else who.person,
            form_token="" if who is None else who.form_token,
            **values,
        )
    )
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


def if_changed(request: Request, page: HTMLResponse) -> Response:
    """The page, or status 304 if it is what the browser says that it has."""
    page.headers["ETag"] = f'"{hashlib.sha256(bytes(page.body)).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") != page.headers["ETag"]:
        return page
    return Response(status_code=304, headers={"ETag": page.headers["ETag"], **_HEADERS})


@cache
def static_version(name: str) -> str:
    """What changes when a static file does, so that browsers may keep it."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": words.duration,
        "size": words.size,
        "moment": words.moment,
        "segment": lambda text: quote(text, safe="/"),
    }
    environment.globals |= {
        "static_version": static_version,
        "title": views.title,
        "budget": views.budget,
        "step_words": step_words,
        "states": tuple(JobState),
        "kinds": tuple(Kind),
        "new_key": lambda: secrets.token_hex(16),
    }
    return environment
