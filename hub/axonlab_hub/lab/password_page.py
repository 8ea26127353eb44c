"""The page on which people change their password."""

from __future__ import annotations

import asyncio
from typing import Any

import bcrypt
from jupyterhub import orm
from nativeauthenticator.handlers import LocalBase
from tornado import web

_FORM = "change-password.html"


class ChangePasswordPage(LocalBase):
    """NativeAuthenticator's form, and what happens when it is sent."""

    @web.authenticated
    async def get(self) -> None:
        """Show the form."""
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        """Change the password, and end the sessions of other browsers."""
        user: Any = self.current_user
        authenticator: Any = self.authenticator
        row = authenticator.get_user(user.name)
        old, new, again = (
            self.get_body_argument(name, default="", strip=False)
            for name in ("old_password", "new_password", "new_password_confirmation")
        )
        if not await authenticator.is_right(row, old, source="change-password"):
            await self._show("Your current password was incorrect.")
        elif new != again:
            await self._show("The two new passwords differ.")
        elif not authenticator.is_password_strong(new):
            least = authenticator.minimum_password_length
            await self._show(f"A password needs {least} to 72 characters, and must not be a common one.")
        else:
            row.password = await asyncio.to_thread(bcrypt.hashpw, new.encode(), bcrypt.gensalt())
            self._end_other_sessions(user)
            await self._show("Your password has been changed.", alert="alert-success")

    def _end_other_sessions(self, user: Any) -> None:
        # Tokens of a login at a server or a service; the server's own token and those made by hand stay.
        for token in list(user.orm_user.api_tokens):
            if token.client_id != "jupyterhub":
                self.db.delete(token)
        user.orm_user.cookie_id = orm.new_token()
        self.db.commit()
        self.set_login_cookie(user)

    async def _show(self, message: str | None = None, *, alert: str = "alert-danger") -> None:
        user: Any = self.current_user
        shown: dict[str, Any] = {} if message is None else {"result_message": message, "alert": alert}
        self.finish(await self.render_template(_FORM, user_name=user.name, **shown))
