"""A file of the storage, piece by piece, so that a page's size is not the service's memory."""

from __future__ import annotations

from collections.abc import Iterator

from axonlab_core.backends.storage import Storage

PIECE_BYTES = 2**20


def pieces(storage: Storage, key: str, size_bytes: int, *, begin: int = 0) -> Iterator[bytes]:
    """The bytes from `begin` to the end."""
    for offset in range(begin, size_bytes, PIECE_BYTES):
        yield storage.read_part(key, offset=offset, size_bytes=min(PIECE_BYTES, size_bytes - offset))
