"""The first password of everybody in the course, made by the lab server and handed out by the instructor."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterable, Mapping

import bcrypt
from jupyterhub.orm import new_session_factory
from nativeauthenticator.orm import UserInfo

from axonlab_core.contract.errors import NotFound
from axonlab_hub.secrets_folder import write_private
from axonlab_hub.settings import Settings

# Without letters and digits that look alike on paper.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 3, 4
_COLUMNS: list[str] = ["id", "password", "address"]


def make_passwords(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """A first password for each of these people who has none yet; the hub keeps bcrypt's hash only.

    They are written down for whoever hands them out before they hold, so that none is ever lost. The hub's database
    must be there; the hub may be running.
    """
    with new_session_factory(settings.hub_database)() as session:
        known = {row.username for row in session.query(UserInfo).all()}
        made = {name: _password() for name in names if name not in known}
        for name, password in made.items():
            session.add(UserInfo(username=name, password=_hashed(password), is_authorized=True))
        if made:
            _write_down(settings, made)
        session.commit()
    return made


def replace_password(settings: Settings, name: str) -> str:
    """A new password for somebody who has forgotten theirs.

    Raises
    ------
    NotFound
        If nobody of that name has a password.
    """
    with new_session_factory(settings.hub_database)() as session:
        row = UserInfo.find(session, name)
        if row is None:
            raise NotFound(
                f"{name} has no password here.", remedy="Put them on the roster, and run `axonlab lab admit`."
            )
        password = _password()
        row.password = _hashed(password)
        session.commit()
    if settings.first_passwords_file.is_file():
        _write_down(settings, {name: None})  # it holds no longer
    return password


def _write_down(settings: Settings, passwords: Mapping[str, str | None]) -> None:
    file, lines = settings.first_passwords_file, {}
    if file.is_file():
        with file.open(newline="", encoding="utf-8-sig") as before:
            lines = {row.get("id", ""): row for row in csv.DictReader(before)}
    for name, password in passwords.items():
        lines.pop(name, None)
        if password is not None:
            lines[name] = {"id": name, "password": password, "address": settings.url}
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, _COLUMNS, extrasaction="ignore")  # somebody may have added a column
    table.writeheader()
    table.writerows(lines.values())
    write_private(file, out.getvalue().encode())


def _password() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _hashed(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt())
