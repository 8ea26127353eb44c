"""Who is calling: the hub says whose a token is; the scopes are checked here.

The hub answers for *any* of its tokens, so a valid one is not yet a permission: it needs the scope to access
this service and the scope for the verb.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Annotated, Literal, Protocol

import httpx
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jupyterhub.services.auth import check_scopes
from pydantic import BaseModel, ConfigDict, ValidationError

from axonlab_core.contract.base import COURSE_PATTERN
from axonlab_core.contract.errors import LimitReached, NotAllowed, NotSignedIn, Unavailable
from axonlab_hub.groups import STAFF, STUDENTS, staff_group, student_group
from axonlab_hub.rates import Rates
from axonlab_hub.scopes import ACCESS, RUN, SUBMIT, TEACH

_MAX_CACHED = 10_000
_EVERYBODY = ""
_MAX_TOKEN_CHARACTERS = 512
_TIMEOUT_S = 10.0
_REMEDY = "Send `Authorization: Bearer <token>` with a token of the hub: in a notebook axonlab.connect() does it."


Role = Literal["student", "staff"]
_ROLES: dict[str, Role] = {STUDENTS: "student", STAFF: "staff"}
_course_name = re.compile(COURSE_PATTERN)


class Person(BaseModel):
    """Whose token it is: a user of the hub, or one of its services."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: str = "user"
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def belongs_to(self, course: str) -> bool:
        """Whether this is a student or one of the staff of the course."""
        return student_group(course) in self.groups or self.teaches(course)

    def teaches(self, course: str) -> bool:
        """Whether this is one of the staff of the course."""
        return staff_group(course) in self.groups

    @property
    def courses(self) -> dict[str, Role]:
        """What this person is in which course, by the courses' names."""
        found: dict[str, Role] = {}
        for group in sorted(self.groups, reverse=True):  # nbgrader- before formgrade-: whoever is both is staff
            prefix, _, course = group.partition("-")
            if prefix in _ROLES and _course_name.fullmatch(course):
                found[course] = _ROLES[prefix]
        return dict(sorted(found.items()))


class Identities(Protocol):
    """Whoever knows whose a token is."""

    async def person(self, token: str) -> Person | None:
        """Whose token it is; None if nobody's."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class HubIdentities:
    """The hub's own answer, kept for a while: also that it knows nothing of a token."""

    def __init__(
        self,
        api_url: str,
        *,
        cache_s: float,
        unknown_cache_s: float = 5.0,
        unknown_per_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = httpx.AsyncClient(base_url=api_url.rstrip("/") + "/", timeout=_TIMEOUT_S)
        self._cache_s = cache_s
        self._unknown_cache_s = unknown_cache_s
        self._clock = clock
        # By the token's hash: a dump of this process's cache opens nothing.
        self._known: dict[str, tuple[float, Person]] = {}
        self._unknown: dict[str, float] = {}
        self._misses = Rates(unknown_per_s, burst=max(1, round(10 * unknown_per_s)), clock=clock)

    async def person(self, token: str) -> Person | None:
        """Whose token it is; None if nobody's."""
        key = hashlib.sha256(token.encode()).hexdigest()
        now = self._clock()
        if (hit := self._known.get(key)) is not None and hit[0] > now:
            return hit[1]
        if self._unknown.get(key, 0) > now:
            return None
        if not self._misses.left(_EVERYBODY):
            # Tokens that are known go on; the hub is spared until fewer wrong ones come.
            raise LimitReached(
                "So many unknown tokens arrive that new ones have to wait.",
                remedy="Try again in a moment.",
                retry_after_s=1,
            )
        person = await self._ask(token)
        if person is None:
            self._misses.take(_EVERYBODY)
            if len(self._unknown) >= _MAX_CACHED:
                self._unknown = {kept: until for kept, until in self._unknown.items() if until > now}
            if len(self._unknown) < _MAX_CACHED:
                self._unknown[key] = now + self._unknown_cache_s
        else:
            if len(self._known) >= _MAX_CACHED:
                self._known = {kept: entry for kept, entry in self._known.items() if entry[0] > now}
            if len(self._known) < _MAX_CACHED:
                self._known[key] = (now + self._cache_s, person)
        return person

    async def _ask(self, token: str) -> Person | None:
        try:
            answer = await self._client.get("user", headers={"Authorization": f"token {token}"})
        except httpx.TransportError as error:
            raise Unavailable("The hub does not answer.", remedy="Try again in a moment.") from error
        if answer.status_code in {401, 403}:
            return None
        if not answer.is_success:
            raise Unavailable(f"The hub answered {answer.status_code}.", remedy="Try again in a moment.")
        try:
            return Person.model_validate_json(answer.content)
        except ValidationError as error:
            raise Unavailable("The hub's answer about a token makes no sense.", remedy="Tell the operator.") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def bearer(request: Request) -> str:
    """The token that a request brings.

    Raises
    ------
    NotSignedIn
        If it brings none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() not in {"bearer", "token"} or not token or len(token) > _MAX_TOKEN_CHARACTERS:
        raise NotSignedIn("This call needs a token.", remedy=_REMEDY)
    if not token.isascii() or not token.isprintable():
        raise NotSignedIn("The token holds characters that no token has.", remedy=_REMEDY)
    return token


HUB_TOKEN = HTTPBearer(scheme_name="hub token", auto_error=False, description="A token of the hub, with the scopes.")
RUN_TOKEN = HTTPBearer(scheme_name="run token", auto_error=False, description="The token that came with the claim.")
# For the documentation alone: `bearer` reads the header, since the word `token` is as good as `Bearer`.
_Documented = Annotated[HTTPAuthorizationCredentials | None, Depends(HUB_TOKEN)]


async def student(request: Request, _: _Documented = None) -> Person:
    """The user who calls, if their token may submit jobs."""
    return await _user(request, SUBMIT)


async def teacher(request: Request, _: _Documented = None) -> Person:
    """The user who calls, if their token may publish; of which course they are staff is asked where it matters."""
    return await _user(request, TEACH)


async def runner(request: Request, _: _Documented = None) -> Person:
    """The runner that calls, if its token may claim jobs."""
    return await _person(request, RUN)


async def _user(request: Request, scope: str) -> Person:
    person = await _person(request, scope)
    if person.kind != "user":
        raise NotAllowed(f"{person.name} is a service, not a person.", remedy="Use a student's token.")
    rates: Rates = request.app.state.rates
    rates.take_or_refuse(person.name)
    return person


async def _person(request: Request, scope: str) -> Person:
    identities: Identities = request.app.state.identities
    person = await identities.person(bearer(request))
    if person is None:
        raise NotSignedIn(
            "The hub does not know this token.", remedy="It may have ended with its server: get a new one."
        )
    for needed in (ACCESS, scope):
        if not check_scopes({needed}, person.scopes):
            raise NotAllowed(
                f"This token lacks the scope {needed}.",
                remedy="Make one that has it, or start your server again if the token is your server's.",
            )
    return person
