"""Who may log in to a lab server: the people of its roster, each with a password of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import bcrypt
from jupyterhub import orm
from jupyterhub.auth import Authenticator
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.handlers import TEMPLATE_DIR
from tornado import web
from tornado.ioloop import PeriodicCallback
from traitlets import Unicode

from axonlab_core.contract.errors import BadInput
from axonlab_hub.lab.password_page import ChangePasswordPage
from axonlab_hub.lab.roster import Roster, read_roster
from axonlab_hub.rates import Rates

TEMPLATES = TEMPLATE_DIR
"""With them every page of the hub has a link to the page for changing one's password."""
BCRYPT_BYTES = 72
_LOOK_MS = 5_000
_WRONG_ONES, _ONE_MORE_PER_S = 20, 1 / 3
# What a password is compared with where nobody of that name is known: the time it takes must not tell.
_NOBODY = bcrypt.hashpw(b"nobody", bcrypt.gensalt())


class RosterAuthenticator(NativeAuthenticator):
    """The people of a roster, which may change while the hub runs; NativeAuthenticator keeps their passwords."""

    roster_file = Unicode(config=True, help="The roster, a CSV file.")
    course = Unicode(config=True, help="The course whose roster it is.")

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._read: tuple[int, Roster] | None = None
        self._enforced: Roster | None = None
        self._wrong = Rates(_ONE_MORE_PER_S, burst=_WRONG_ONES)

    def roster(self) -> Roster:
        """The roster as it is now; while somebody is spoiling the file, as it was."""
        path = Path(self.roster_file)
        try:
            changed = path.stat().st_mtime_ns
            if self._read is None or changed != self._read[0]:
                self._read = (changed, read_roster(path))
        except (BadInput, OSError) as error:
            if self._read is None:
                raise
            self.log.warning("The roster is not read again: %s", error)
        return self._read[1]

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Who that is, with the groups that the roster gives; nobody, if name or password are wrong."""
        name = self.normalize_username(data.get("username", ""))
        row = self.get_user(name)
        right = await self.is_right(row, data.get("password", ""), source=handler.request.remote_ip)
        return self._identity(name) if right else None

    async def is_right(self, row: Any, password: str, *, source: str) -> bool:
        """Whether that is the person's password; comparing takes a quarter of a second, in which the hub goes on.

        Raises
        ------
        tornado.web.HTTPError
            429, if too many wrong ones came from that source for that person; others can go on logging in as them.
        """
        key = f"{row.username if row is not None else ''} {source}"
        if not self._wrong.left(key):
            raise web.HTTPError(429, "Too many wrong passwords. Wait a minute, then try again.")
        self._wrong.take(key)  # given back below: of many at once, no more are compared than may be wrong
        said = password.encode()
        fits = 0 < len(said) <= BCRYPT_BYTES
        same = await asyncio.to_thread(bcrypt.checkpw, said if fits else b"", _NOBODY if row is None else row.password)
        if same and fits and row is not None and row.is_authorized:
            self._wrong.give_back(key)
            return True
        return False

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """The pages: the hub's own for logging in, and one for changing one's password.

        NativeAuthenticator's others are for signing up, which a roster does; its page for logging in does not work with
        JupyterHub 6, and its page for changing one's password stops the hub while it compares.
        """
        PeriodicCallback(lambda: self._enforce(app), _LOOK_MS).start()
        return [*Authenticator.get_handlers(self, app), (r"/change-password", ChangePasswordPage)]

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002 (the hub's signature)
        """Whether that person is in the course."""
        return username in self.roster().roles

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> Any:  # noqa: ARG002 (see above)
        """What is now known of somebody who has logged in; whoever has left the course has to log in, and cannot."""
        return self._identity(user.name) if self.check_allowed(user.name) else False

    def is_password_strong(self, password: str) -> bool:
        """Whether it will do; bcrypt looks at its first 72 bytes only, so a longer one is refused."""
        return len(password.encode()) <= BCRYPT_BYTES and super().is_password_strong(password)

    async def _enforce(self, app: Any) -> None:
        """Once the roster has changed: who has left loses tokens, sessions and server, the others get their groups."""
        roster = self.roster()
        if roster == self._enforced:
            return
        waiting = False
        for row in app.db.query(orm.User).all():
            user = app.users[row]
            user.sync_groups(roster.groups(user.name, self.course))
            if user.name not in roster.roles:
                waiting |= await _expel(app, user)
        app.db.commit()
        if not waiting:
            self._enforced = roster

    def _identity(self, name: str) -> dict[str, Any]:
        return {"name": name, "groups": self.roster().groups(name, self.course)}


async def _expel(app: Any, user: Any) -> bool:
    """End all that somebody has open; whether a server is just starting or stopping, and has to be looked at again."""
    for token in list(user.orm_user.api_tokens):
        app.db.delete(token)
    user.orm_user.cookie_id = orm.new_token()
    app.db.commit()
    for name, spawner in list(user.spawners.items()):
        if spawner.active and not spawner.pending:
            await user.stop(name)
    return any(spawner.pending for spawner in user.spawners.values())
