"""Storage in a folder of this machine; its links are served by the service and signed with its secret.

A link holds what it allows (verb, key, hash, size, end) and an HMAC over it, so it opens nothing else.
Uploads are written beside and linked into place once their hash is right: nobody ever sees half an artifact,
and what is there is not overwritten.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

from itsdangerous import BadData, URLSafeSerializer
from pydantic import ValidationError

from axonlab_core.backends.storage import PART_BYTES, TICKET_LIFETIME
from axonlab_core.contract.base import Identifier, Sha256, UtcTime, Value, utc_now
from axonlab_core.contract.errors import BadInput, Conflict, NotAllowed, NotFound, TooLarge
from axonlab_core.contract.keys import check_relative_path
from axonlab_core.contract.tickets import Blob, Ticket, TicketCommit, TicketPart

LINK_PATH = "api/v1/storage"
"""Where the service serves links, relative to its own URL."""

_READ_BYTES = 2**20
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What a file system says that has no hard links, or no more of them for this file."""
_STAGING = ".staging"
Verb = Literal["get", "put", "commit"]


class Link(Value):
    """What one signed link allows."""

    verb: Verb
    key: str
    ends_at: UtcTime
    sha256: Sha256 | None = None
    size_bytes: int = 0
    upload: Identifier | None = None
    """Of an upload in parts; None where one request carries all."""
    part: int = 0
    parts: int = 1


class Receiver:
    """Takes the body of one upload request. `finish` puts it into place, `abandon` leaves no trace."""

    def __init__(self, storage: DiskStorage, link: Link) -> None:
        self._storage = storage
        self._link = link
        self._hash = hashlib.sha256()
        self._received = 0
        storage.staging.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=storage.staging, prefix="part-")
        self._path = Path(name)
        self._file: IO[bytes] = os.fdopen(handle, "wb")

    def write(self, chunk: bytes) -> None:
        """Append some bytes.

        Raises
        ------
        TooLarge
            If more bytes arrive than the link allows.
        """
        self._received += len(chunk)
        if self._received > self._link.size_bytes:
            raise TooLarge(
                f"The upload is larger than the {self._link.size_bytes} bytes that were announced.",
                remedy="Ask for a ticket for the file as it is now.",
            )
        self._hash.update(chunk)
        self._file.write(chunk)

    def finish(self) -> None:
        """Put the bytes into place.

        Raises
        ------
        BadInput
            If they are not the bytes that the ticket was made for.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._received != self._link.size_bytes:
            raise BadInput(
                f"The upload has {self._received} bytes instead of {self._link.size_bytes}: it was cut off.",
                remedy="Send it again.",
            )
        if self._link.upload is None:
            self._storage.place(self._path, self._link, self._hash.hexdigest())
        else:
            folder = self._storage.staging / self._link.upload
            folder.mkdir(exist_ok=True)
            self._path.replace(folder / f"{self._link.part:06d}")

    def abandon(self) -> None:
        """Forget what has arrived."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class DiskStorage:
    """Artifacts as files under one folder."""

    def __init__(self, root: Path, *, secret: bytes, part_bytes: int = PART_BYTES) -> None:
        self.root = root.resolve()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.staging = self.root / _STAGING
        self._part_bytes = part_bytes
        self._signer = URLSafeSerializer(
            secret, salt="axonlab.storage", signer_kwargs={"digest_method": hashlib.sha256}
        )

    # -- the port ----------------------------------------------------------------------------------------

    def upload_ticket(self, key: str, blob: Blob, *, lifetime: timedelta = TICKET_LIFETIME) -> Ticket:
        """Permission to create `key` with exactly these bytes."""
        ends_at = utc_now() + lifetime
        count = max(1, math.ceil(blob.size_bytes / self._part_bytes))
        whole = Link(verb="put", key=key, ends_at=ends_at, sha256=blob.sha256, size_bytes=blob.size_bytes)
        if count == 1:
            part = TicketPart(method="PUT", url=self._url(whole), offset=0, size_bytes=blob.size_bytes)
            return Ticket(parts=(part,), expires_at=ends_at)
        # Named by key and content: parts that arrived before a connection broke still count afterwards.
        upload = hashlib.sha256(f"{key}\n{blob.sha256}\n{blob.size_bytes}".encode()).hexdigest()[:40]
        parts: list[TicketPart] = []
        for n in range(count):
            offset = n * self._part_bytes
            size = min(self._part_bytes, blob.size_bytes - offset)
            link = Link(verb="put", key=key, ends_at=ends_at, size_bytes=size, upload=upload, part=n, parts=count)
            parts.append(TicketPart(method="PUT", url=self._url(link), offset=offset, size_bytes=size))
        commit = whole.model_copy(update={"verb": "commit", "upload": upload, "parts": count})
        return Ticket(parts=tuple(parts), commit=TicketCommit(method="POST", url=self._url(commit)), expires_at=ends_at)

    def download_ticket(self, key: str, *, lifetime: timedelta = TICKET_LIFETIME) -> Ticket:
        """Permission to read `key`."""
        size = self.size_bytes(key)
        if size is None:
            raise NotFound("There is no such artifact.", remedy="It may have expired; run the job again.")
        ends_at = utc_now() + lifetime
        url = self._url(Link(verb="get", key=key, ends_at=ends_at))
        return Ticket(parts=(TicketPart(method="GET", url=url, offset=0, size_bytes=size),), expires_at=ends_at)

    def size_bytes(self, key: str) -> int | None:
        """Size of the artifact, None if there is none."""
        path = self._path(key)
        return path.stat().st_size if path.is_file() else None

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """The artifact's bytes."""
        size = self.size_bytes(key)
        if size is None:
            raise NotFound("There is no such artifact.", remedy="Upload it first.")
        if size > max_bytes:
            raise TooLarge(f"The artifact has {size} bytes; at most {max_bytes} can be read here.")
        return self._path(key).read_bytes()

    def read_part(self, key: str, *, offset: int, size_bytes: int) -> bytes:
        """The artifact's bytes `offset … offset + size_bytes`, as far as there are any."""
        path = self._path(key)
        if not path.is_file():
            raise NotFound("There is no such artifact.", remedy="Upload it first.")
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size_bytes)

    def copy(self, source: str, target: str) -> None:
        """Make `target` the same as `source`; no bytes move where the file system has links."""
        origin, place = self._path(source), self._path(target)
        if not origin.is_file():
            raise NotFound("There is no such artifact.", remedy="It may have expired; upload it again.")
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            # Artifacts never change and are removed by unlinking, so two names for one file are as good as two files.
            os.link(origin, place)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy_bytes(origin, place)

    def _copy_bytes(self, origin: Path, place: Path) -> None:
        self.staging.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.staging, prefix="copy-")
        try:
            with os.fdopen(handle, "wb") as beside, origin.open("rb") as file:
                shutil.copyfileobj(file, beside, _READ_BYTES)
                beside.flush()
                os.fsync(beside.fileno())
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key under `prefix`."""
        start = self._path(prefix)
        if start.is_file():
            yield prefix
        for path in sorted(start.rglob("*")):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()

    def delete(self, prefix: str) -> int:
        """Remove every key under `prefix`."""
        found = list(self.keys(prefix))
        start = self._path(prefix)
        if start.is_dir():
            shutil.rmtree(start)
        elif start.is_file():
            start.unlink()
        return len(found)

    # -- what the service does for a link ----------------------------------------------------------------

    def open_link(self, token: str, verb: Verb, *, now: datetime | None = None) -> Link:
        """What `token` allows.

        Raises
        ------
        NotAllowed
            If it is not ours, was changed, is over, or is for another verb.
        """
        ask = "Ask the service for a new ticket."
        try:
            raw: dict[str, Any] = self._signer.loads(token)
            link = Link.model_validate(raw)
        except (BadData, ValidationError) as error:
            raise NotAllowed("This link was not issued by this service, or was changed.", remedy=ask) from error
        if link.verb != verb:
            raise NotAllowed(f"This link is for {link.verb}, not for {verb}.", remedy=ask)
        if (now or utc_now()) >= link.ends_at:
            raise NotAllowed("This link has expired.", remedy=ask)
        return link

    def receive(self, link: Link) -> Receiver:
        """A receiver for the body of one upload request."""
        return Receiver(self, link)

    def locate(self, link: Link) -> Path:
        """The file that a link to read opens."""
        path = self._path(link.key)
        if not path.is_file():
            raise NotFound("There is no such artifact any more.", remedy="It may have expired; run the job again.")
        return path

    def commit(self, link: Link) -> None:
        """Make the parts of an upload one artifact.

        Raises
        ------
        Conflict
            If a part is missing.
        BadInput
            If the whole does not have the announced hash; the parts are thrown away.
        """
        assert link.upload is not None  # noqa: S101 (signed by ourselves)
        if self.size_bytes(link.key) == link.size_bytes:
            return
        folder = self.staging / link.upload
        parts = [folder / f"{n:06d}" for n in range(link.parts)]
        missing = [n for n, part in enumerate(parts) if not part.is_file()]
        if missing:
            raise Conflict(f"Part {missing[0]} of {link.parts} has not arrived.", remedy="Send it, then commit again.")
        whole_hash = hashlib.sha256()
        handle, name = tempfile.mkstemp(dir=self.staging, prefix="whole-")
        with os.fdopen(handle, "wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    while chunk := file.read(_READ_BYTES):
                        whole_hash.update(chunk)
                        whole.write(chunk)
            whole.flush()
            os.fsync(whole.fileno())
        shutil.rmtree(folder)
        self.place(Path(name), link, whole_hash.hexdigest())

    def place(self, arrived: Path, link: Link, sha256: str) -> None:
        """Put a complete file where its key says, if its hash is right and nothing else is there."""
        try:
            if sha256 != link.sha256:
                raise BadInput(
                    f"The upload's hash is {sha256[:12]}…, announced was {str(link.sha256)[:12]}….",
                    remedy="The file changed or was damaged on the way: build it again and send it again.",
                )
            target = self._path(link.key)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                os.link(arrived, target)  # unlike a rename, refuses to replace
            except FileExistsError:
                with target.open("rb") as file:
                    same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
                if not same:
                    raise Conflict(
                        "There is another artifact under this key.", remedy="Artifacts never change."
                    ) from None
        finally:
            arrived.unlink(missing_ok=True)

    def _url(self, link: Link) -> str:
        return f"{LINK_PATH}/{self._signer.dumps(link.model_dump(mode='json'))}"

    def _path(self, key: str) -> Path:
        try:
            return self.root / check_relative_path(key)
        except ValueError as error:
            raise BadInput(f"{key!r} is not a storage key.") from error
