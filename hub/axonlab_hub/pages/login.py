"""Log in with the hub (OAuth: authorization code with PKCE), and out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import RedirectResponse, Response

from axonlab_core.contract.errors import NotAllowed, NotSignedIn, Unavailable
from axonlab_hub.pages.forms import read_form
from axonlab_hub.pages.rendering import render
from axonlab_hub.pages.session import Sessions, require_form_token, require_same_site, sessions_of, student_with
from axonlab_hub.parts import Parts, parts_of
from axonlab_hub.rates import Rates
from axonlab_hub.settings import Settings

router = APIRouter(tags=["login"], include_in_schema=False)
House = Annotated[Parts, Depends(parts_of)]
Cookies = Annotated[Sessions, Depends(sessions_of)]
_LOGIN = "axonlab-login"
_LOGIN_LIFETIME_S = 600
_TIMEOUT_S = 10.0
_AGAIN = "Go to the page that you wanted and log in again."


class _Begun(BaseModel):
    """What the browser keeps while its person is at the hub."""

    model_config = ConfigDict(frozen=True)

    state: str
    verifier: str = Field(repr=False)
    then: str


class _Token(BaseModel):
    model_config = ConfigDict(extra="ignore")

    access_token: str = Field(repr=False)


@router.get("/login")
def login(
    request: Request, parts: House, sessions: Cookies, then: Annotated[str, Query(max_length=1000)] = ""
) -> Response:
    """To the hub, which asks who it is."""
    _not_too_often(request)
    settings = parts.settings
    if not settings.oauth_client_id:
        raise Unavailable(
            "This service was not started by a hub, so nobody can log in at its pages.", remedy="Use the API."
        )
    begun = _Begun(
        state=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48), then=_own_path(then, sessions.prefix)
    )
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": settings.oauth_client_id,
        "redirect_uri": settings.oauth_callback_url,
        "response_type": "code",
        "state": begun.state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = f"{settings.hub_host}{settings.hub_base_url.rstrip('/')}/hub/api/oauth2/authorize?{urlencode(query)}"
    response = RedirectResponse(url, status_code=303)
    sealed = sessions.seal(begun.model_dump_json(), _LOGIN)
    # One for each login that was begun: two tabs do not disturb each other.
    sessions.set_cookie(
        request, response, _cookie_name(begun.state), sealed, path=_callback(sessions), lifetime_s=_LOGIN_LIFETIME_S
    )
    return response


@router.get("/oauth_callback")
async def callback(
    request: Request,
    parts: House,
    sessions: Cookies,
    *,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=1000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Back from the hub: the session begins."""
    _not_too_often(request)
    begun = _begun(request, sessions, state)
    if error or not code:
        raise NotSignedIn("The hub did not log you in.", remedy=_AGAIN)
    token = await _token(parts.settings, code, begun.verifier)
    await student_with(request, token)
    response = RedirectResponse(begun.then, status_code=303)
    sessions.begin(request, response, token)
    response.delete_cookie(_cookie_name(state), path=_callback(sessions), httponly=True, samesite="lax")
    return response


@router.post("/logout")
async def logout(request: Request, parts: House, sessions: Cookies) -> Response:
    """Out of these pages; the hub has a log-out of its own."""
    require_same_site(request)
    form = await read_form(request)
    require_form_token(sessions.form_token(sessions.read(request)), form)
    response = render(request, "logged_out.html", hub_url=parts.settings.hub_host + parts.settings.hub_base_url)
    sessions.end(response)
    return response


def _begun(request: Request, sessions: Sessions, state: str) -> _Begun:
    sealed = request.cookies.get(_cookie_name(state), "")
    content = sessions.unseal(sealed, _LOGIN, lifetime_s=_LOGIN_LIFETIME_S)
    begun = None if content is None else _Begun.model_validate_json(content)
    if begun is None or not hmac.compare_digest(begun.state.encode(), state.encode()):
        raise NotAllowed("This login was not begun in this browser, or took too long.", remedy=_AGAIN)
    return begun


async def _token(settings: Settings, code: str, verifier: str) -> str:
    form = {
        "client_id": settings.oauth_client_id,
        "client_secret": settings.oauth_client_secret,
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": settings.oauth_callback_url,
        "code_verifier": verifier,
    }
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            answer = await client.post(f"{settings.hub_api_url.rstrip('/')}/oauth2/token", data=form)
    except httpx.TransportError as error:
        raise Unavailable("The hub does not answer.", remedy="Try again in a moment.") from error
    if answer.is_client_error:
        raise NotSignedIn("The hub does not accept this login (any more).", remedy=_AGAIN)
    try:
        return _Token.model_validate_json(answer.content).access_token
    except ValidationError:
        # Without its cause: the answer is a secret, and causes are logged.
        raise Unavailable(f"The hub answered a login with {answer.status_code}.", remedy="Try again.") from None


def _not_too_often(request: Request) -> None:
    # Nobody is known yet; an address is the best that there is.
    rates: Rates = request.app.state.rates
    rates.take_or_refuse(f"address {request.client.host if request.client else 'unknown'}")


def _own_path(then: str, prefix: str) -> str:
    """`then`, if it is a page of ours; else the first page."""
    parts = urlsplit(then) if then.isascii() and then.isprintable() and "\\" not in then else None
    climbs = parts is not None and ".." in parts.path.split("/")
    if parts is None or climbs or parts.scheme or parts.netloc or not parts.path.startswith(prefix):
        return prefix
    return then


def _cookie_name(state: str) -> str:
    return f"{_LOGIN}-{hashlib.sha256(state.encode()).hexdigest()[:8]}"


def _callback(sessions: Sessions) -> str:
    return sessions.prefix.rstrip("/") + "/oauth_callback"
