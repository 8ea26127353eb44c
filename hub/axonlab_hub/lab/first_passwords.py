"""The first password of everybody in the course, made by the lab server and handed out by the instructor."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import bcrypt
from jupyterhub.orm import new_session_factory
from nativeauthenticator.orm import UserInfo

from axonlab_core.contract.errors import NotFound

# Without letters and digits that look alike on paper.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 3, 4
_COLUMNS: list[str] = ["id", "password", "address"]


def make_passwords(database_url: str, names: Iterable[str]) -> dict[str, str]:
    """A first password for each of these people who has none yet; the hub keeps bcrypt's hash only.

    The hub's database must be there; the hub may be running.
    """
    with new_session_factory(database_url)() as session:
        known = {row.username for row in session.query(UserInfo).all()}
        made = {name: _password() for name in names if name not in known}
        for name, password in made.items():
            session.add(UserInfo(username=name, password=_hashed(password), is_authorized=True))
        session.commit()
    return made


def replace_password(database_url: str, name: str) -> str:
    """A new password for somebody who has forgotten theirs.

    Raises
    ------
    NotFound
        If nobody of that name has a password.
    """
    with new_session_factory(database_url)() as session:
        row = UserInfo.find(session, name)
        if row is None:
            raise NotFound(
                f"{name} has no password here.", remedy="Put them into the roster, and run `axonlab lab admit`."
            )
        password = _password()
        row.password = _hashed(password)
        session.commit()
    return password


def write_passwords(file: Path, passwords: dict[str, str], *, address: str) -> None:
    """Add passwords to a CSV file that only its owner can read."""
    rows: list[dict[str, str]] = []
    if file.is_file():
        with file.open(newline="", encoding="utf-8") as before:
            rows = list(csv.DictReader(before))
    rows += [{"id": name, "password": password, "address": address} for name, password in passwords.items()]
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="") as out:
        table = csv.DictWriter(out, _COLUMNS)
        table.writeheader()
        table.writerows(rows)
    beside.replace(file)


def _password() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _hashed(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt())
