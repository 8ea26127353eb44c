"""The pages as a part of the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from axonlab_core.contract.errors import ErrorAnswer, NotSignedIn
from axonlab_hub.faults import FAULT_ANSWERS, FaultAnswer
from axonlab_hub.pages import login, routes
from axonlab_hub.pages.rendering import render
from axonlab_hub.pages.session import Sessions
from axonlab_hub.pages.timeline import Timelines
from axonlab_hub.settings import Settings


def add_pages(app: FastAPI, settings: Settings, *, secret: str, api: str) -> None:
    """Let `app` serve the pages beside the API, whose addresses begin with `api`; call it when that is complete."""
    app.state.sessions = Sessions(settings, secret)
    app.state.timelines = Timelines()
    prefix = settings.service_prefix.rstrip("/")
    for router in (login.router, routes.router):
        app.include_router(router, prefix=prefix)
    for kind, answer in FAULT_ANSWERS.items():
        app.add_exception_handler(kind, _in_words(answer, prefix=f"{prefix}/", api=f"{api}/"))


def _in_words(answer: FaultAnswer, *, prefix: str, api: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The same answer, as a page where a page was asked for."""

    async def answer_with_page(request: Request, error: Exception) -> Response:
        path = request.url.path
        # Errors are rare and small, so what the API would say is made first and then put into words.
        said = await answer(request, error)
        if path.startswith(api) or not path.startswith(prefix):
            return said
        if isinstance(error, NotSignedIn) and _opens_page(request) and not path.endswith("/oauth_callback"):
            then = path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"{prefix}login?{urlencode({'then': then})}", status_code=303)
        told = ErrorAnswer.model_validate_json(bytes(said.body))
        page = render(request, "error.html", status=said.status_code, status_code=said.status_code, told=told)
        if "retry-after" in said.headers:
            page.headers["Retry-After"] = said.headers["retry-after"]
        return page

    return answer_with_page


def _opens_page(request: Request) -> bool:
    return request.method == "GET" and request.headers.get("sec-fetch-dest", "document") == "document"
