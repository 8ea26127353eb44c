"""Secrets in the state folder: made once, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BYTES = 32


def write_private(path: Path, content: bytes, *, group: int | None = None) -> None:
    """Write a file that only its owner, and that group if one is given, can read; beside first, then in one step."""
    with _written_beside(path, content) as beside:
        if group is not None:
            os.chown(beside, -1, group)
            beside.chmod(0o640)
        beside.replace(path)


def kept_secret(path: Path, *, characters: int | None = None) -> str:
    """The secret in `path`; the first call makes it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = secrets.token_hex(_BYTES)[:characters]
    # Linked into place: of two processes that start together both get the same one.
    with _written_beside(path, made.encode()) as beside:
        try:
            os.link(beside, path)
        except FileExistsError:
            return path.read_text().strip()
    return made


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    """A new file in the same folder, its owner's alone; gone at the end of the block, unless it was moved."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        yield beside
    finally:
        beside.unlink(missing_ok=True)
