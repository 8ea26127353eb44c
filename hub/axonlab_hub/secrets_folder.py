"""Secrets in the state folder: made once, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_BYTES = 32


def write_private(path: Path, content: bytes, *, group: int | None = None) -> None:
    """Write a file that only its owner, and that group if one is given, can read; beside first, then in one step."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            if group is not None:
                os.fchown(file.fileno(), -1, group)
                os.fchmod(file.fileno(), 0o640)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def kept_secret(path: Path, *, characters: int | None = None) -> str:
    """The secret in `path`; the first call makes it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = secrets.token_hex(_BYTES)[:characters]
    # Written beside and linked into place: of two processes that start together both get the same one.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
        os.link(beside, path)
    except FileExistsError:
        return path.read_text().strip()
    finally:
        beside.unlink(missing_ok=True)
    return made
