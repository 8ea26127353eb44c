"""Who is at the browser: a cookie that only this service can read, and a token in every form that belongs to it.

The cookie holds the hub's token encrypted, so there is nothing to keep on the server and every replica understands
it. It ends with its time, with the hub's token (logging out of the hub revokes it), or with the log-out here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Depends, Request
from jupyterhub.services.auth import check_scopes
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from axonlab_core.contract.errors import NotAllowed, NotSignedIn
from axonlab_hub.auth import Identities, Person
from axonlab_hub.rates import Rates
from axonlab_hub.scopes import ACCESS, SUBMIT
from axonlab_hub.settings import Settings

COOKIE = "axonlab-session"
_LOG_IN = "Log in again; nothing is lost by it."


class Session(BaseModel):
    """What the cookie holds."""

    model_config = ConfigDict(frozen=True)

    id: str
    token: str = Field(repr=False)


class Visitor(NamedTuple):
    """The person at the browser, and the token that their forms carry."""

    person: Person
    form_token: str


class Sessions:
    """Makes and reads what browsers keep for us."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self.prefix = settings.service_prefix
        self._lifetime_s = round(settings.session_hours * 3600)
        self._forms_key = hashlib.sha256(f"axonlab.pages.forms\n{secret}".encode()).digest()
        key = hashlib.sha256(f"axonlab.pages.session\n{secret}".encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, content: str, purpose: str) -> str:
        """`content` as only this service can read it, and only for that purpose."""
        return self._fernet.encrypt(f"{purpose}\n{content}".encode()).decode()

    def unseal(self, sealed: str, purpose: str, *, lifetime_s: int) -> str | None:
        """What was sealed for that purpose within the last `lifetime_s`; None if it was not."""
        try:
            said, _, content = self._fernet.decrypt(sealed, ttl=lifetime_s).decode().partition("\n")
        except (InvalidToken, ValueError):
            return None
        return content if said == purpose else None

    def begin(self, request: Request, response: Response, token: str) -> None:
        """Let the browser keep a new session."""
        session = Session(id=secrets.token_urlsafe(16), token=token)
        sealed = self.seal(session.model_dump_json(), COOKIE)
        self.set_cookie(request, response, COOKIE, sealed, path=self.prefix, lifetime_s=self._lifetime_s)

    def set_cookie(
        self, request: Request, response: Response, name: str, value: str, *, path: str, lifetime_s: int
    ) -> None:
        """Let the browser keep something that no script can read and no other site can have sent along with a POST."""
        response.set_cookie(
            name,
            value,
            max_age=lifetime_s,
            path=path,
            secure=_came_by_tls(request),
            httponly=True,
            samesite="lax",
        )

    def end(self, response: Response) -> None:
        """Let the browser forget the session."""
        response.delete_cookie(COOKIE, path=self.prefix, httponly=True, samesite="lax")

    def read(self, request: Request) -> Session:
        """The session of whoever calls.

        Raises
        ------
        NotSignedIn
            If there is none, or its time is over.
        """
        sealed = request.cookies.get(COOKIE)
        if not sealed:
            raise NotSignedIn("You are not logged in at these pages.", remedy="Log in.")
        content = self.unseal(sealed, COOKIE, lifetime_s=self._lifetime_s)
        if content is None:
            raise NotSignedIn("Your login has ended.", remedy=_LOG_IN)
        return Session.model_validate_json(content)

    def form_token(self, session: Session) -> str:
        """What a form must carry to be this session's."""
        return hmac.new(self._forms_key, session.id.encode(), hashlib.sha256).hexdigest()


def _came_by_tls(request: Request) -> bool:
    # The first proxy knows; whoever makes this up only keeps their own cookie more closely.
    said = request.headers.get("x-forwarded-proto", request.url.scheme)
    return said.partition(",")[0].strip().lower() == "https"


def sessions_of(request: Request) -> Sessions:
    """The sessions of the service that answers this request."""
    sessions: Sessions = request.app.state.sessions
    return sessions


async def visitor(request: Request, sessions: Annotated[Sessions, Depends(sessions_of)]) -> Visitor:
    """The person at the browser.

    Raises
    ------
    NotSignedIn, NotAllowed, LimitReached
        If nobody is logged in, if they may not use the service, or if they call too often.
    """
    session = sessions.read(request)
    person = await student_with(request, session.token)
    rates: Rates = request.app.state.rates
    rates.take_or_refuse(person.name)
    return Visitor(person, sessions.form_token(session))


async def reader(request: Request, who: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """The person who opens a page: they go there, no script of another page fetches it to read what its forms carry."""
    if request.headers.get("sec-fetch-dest", "document") != "document":
        raise NotAllowed("This page cannot be part of another one.", remedy="Open it in a tab of its own.")
    return who


async def student_with(request: Request, token: str) -> Person:
    """Whose token it is, if that person may use the service.

    Raises
    ------
    NotSignedIn, NotAllowed
        If it is nobody's any more, or lacks a scope.
    """
    identities: Identities = request.app.state.identities
    person = await identities.person(token)
    if person is None:
        raise NotSignedIn("The hub has ended your login.", remedy=_LOG_IN)
    if person.kind != "user" or not all(check_scopes({needed}, person.scopes) for needed in (ACCESS, SUBMIT)):
        raise NotAllowed(
            f"{person.name} may not use Axonlab on this hub.", remedy="Ask the instructor to add you to the course."
        )
    return person


def require_same_site(request: Request) -> None:
    """Let forms pass that were sent from our own pages.

    Raises
    ------
    NotAllowed
        If another site sent this one, or nobody says who did.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    ours = origin is None or (origin != "null" and urlsplit(origin).netloc == request.headers.get("host"))
    if (site is None and origin is None) or site not in {None, "same-origin"} or not ours:
        raise NotAllowed("This form was not sent from Axonlab's own page.", remedy="Open the page and use its button.")


def require_form_token(expected: str, form: Mapping[str, str]) -> None:
    """Let forms pass that this session was given.

    Raises
    ------
    NotAllowed
        If it carries another token, or none.
    """
    if not hmac.compare_digest(form.get("form_token", "").encode(), expected.encode()):
        raise NotAllowed("This form belongs to an earlier login.", remedy="Load the page again, then use its button.")
