"""The storage port: artifacts by key, moved by tickets.

Only the service opens a storage. Everybody else gets tickets from it and needs plain HTTP alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.tickets import Blob, Ticket

TICKET_LIFETIME = timedelta(minutes=15)
PART_BYTES = 16 * 2**20
"""Size of the parts in which a large blob is sent."""


class Storage(Protocol):
    """Artifacts by key. Keys come from `contract.keys` and are created once, never changed."""

    def upload_ticket(self, key: str, blob: Blob, *, lifetime: timedelta = TICKET_LIFETIME) -> Ticket:
        """Permission to create `key` with exactly these bytes."""
        ...

    def download_ticket(self, key: str, *, lifetime: timedelta = TICKET_LIFETIME) -> Ticket:
        """Permission to read `key`.

        Raises
        ------
        NotFound
            If there is no such key.
        """
        ...

    def size_bytes(self, key: str) -> int | None:
        """Size of the artifact, None if there is none."""
        ...

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """The artifact's bytes.

        Raises
        ------
        NotFound
            If there is no such key.
        TooLarge
            If it has more than `max_bytes`.
        """
        ...

    def read_part(self, key: str, *, offset: int, size_bytes: int) -> bytes:
        """The artifact's bytes `offset … offset + size_bytes`, as far as there are any.

        Raises
        ------
        NotFound
            If there is no such key.
        """
        ...

    def copy(self, source: str, target: str) -> None:
        """Make `target` the same as `source`, inside the storage; nothing happens if `target` is there already.

        Both keys must be named by the same content, so whatever is at `target` is that content.

        Raises
        ------
        NotFound
            If there is no `source`.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key under `prefix` (a key's leading segments)."""
        ...

    def delete(self, prefix: str) -> int:
        """Remove every key under `prefix`; returns how many there were."""
        ...


def open_storage(url: str, *, secret: bytes) -> Storage:
    """The storage that `url` names; `secret` signs the links that the service itself serves.

    Raises
    ------
    BadInput
        If the URL's scheme is not one we know.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        from axonlab_core.backends.disk import DiskStorage  # noqa: PLC0415 (a driver is imported in its branch)

        if parts.netloc:
            raise BadInput(
                f"AXONLAB_STORAGE_URL={url} names the host {parts.netloc!r}.", remedy="Write file:///folder."
            )
        return DiskStorage(Path(unquote(parts.path)), secret=secret)
    raise BadInput(f"AXONLAB_STORAGE_URL={url}: the scheme {parts.scheme!r} is not known.", remedy="Known: file.")
