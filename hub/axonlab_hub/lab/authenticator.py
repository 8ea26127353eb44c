"""Who may log in to a lab server: the people of its roster, each with a password of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.handlers import TEMPLATE_DIR, ChangePasswordHandler
from traitlets import Unicode

from axonlab_core.contract.errors import BadInput
from axonlab_hub.lab.roster import Roster, read_roster

TEMPLATES = TEMPLATE_DIR
"""With them every page of the hub has a link to the page for changing one's password."""
_BCRYPT_BYTES = 72


class RosterAuthenticator(NativeAuthenticator):
    """NativeAuthenticator's passwords, for the people of a roster that may change while the hub runs."""

    roster_file = Unicode(config=True, help="The roster, a CSV file.")
    course = Unicode(config=True, help="The course whose roster it is.")
    _read: tuple[int, Roster] | None = None

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
        name = await super().authenticate(handler, {"username": data.get("username", ""), **data, "2fa": ""})
        return None if name is None else self._identity(name)

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """The pages: the hub's own for logging in, and NativeAuthenticator's for changing one's password.

        Its others are for signing up, which a roster does, and its page for logging in does not work with JupyterHub 6.
        """
        return [*Authenticator.get_handlers(self, app), (r"/change-password", ChangePasswordHandler)]

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002 (the hub's signature)
        """Whether that person is in the course."""
        return username in self.roster().roles

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> Any:  # noqa: ARG002 (see above)
        """What is now known of somebody who has logged in; whoever has left the course is logged out."""
        return self._identity(user.name) if self.check_allowed(user.name) else False

    def is_password_strong(self, password: str) -> bool:
        """Whether it will do; bcrypt looks at its first 72 bytes only, so a longer one is refused."""
        return len(password.encode()) <= _BCRYPT_BYTES and super().is_password_strong(password)

    def _identity(self, name: str) -> dict[str, Any]:
        return {"name": name, "groups": self.roster().groups(name, self.course)}
