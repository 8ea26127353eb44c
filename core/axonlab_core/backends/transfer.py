"""Blobs through tickets: sent part by part, fetched beside and renamed once their hash is right."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar

import httpx
from pydantic import ValidationError

from axonlab_core.backends.service import ServiceSession, persist
from axonlab_core.contract.errors import (
    AxonlabError,
    ErrorAnswer,
    NotAllowed,
    PlatformError,
    Unavailable,
    error_from_answer,
)
from axonlab_core.contract.tickets import Blob, Ticket, TicketPart

logger = logging.getLogger(__name__)

AnyBlob = TypeVar("AnyBlob", bound=Blob)
_TICKETS_AT_ONCE = 100
_CHUNK_BYTES = 2**18
_SERVER_ERROR = 500
Progress = Callable[[int], None]
"""Called with the number of bytes that have just moved."""


def describe(path: Path, *, follow: bool = True) -> Blob:
    """Hash and size of a file; an OSError if it is a symbolic link that is not to be followed."""
    flags = os.O_RDONLY if follow else os.O_RDONLY | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Blob(sha256=digest, size_bytes=file.tell())


def upload(session: ServiceSession, ticket: Ticket, source: Path | bytes, *, progress: Progress | None = None) -> None:
    """Send `source` as the ticket says.

    Raises
    ------
    UserError, PlatformError
        As whoever keeps the storage says.
    """
    for part in ticket.parts:

        def send(part: TicketPart = part) -> None:
            _request(
                session,
                part.method,
                part.url,
                headers={**part.headers, "Content-Length": str(part.size_bytes)},
                content=_chunks(source, part.offset, part.size_bytes),
            )

        persist(send, patience_s=lambda: session.patience_s)
        if progress is not None:
            progress(part.size_bytes)
    if (commit := ticket.commit) is not None:
        persist(
            lambda: _request(session, commit.method, commit.url, headers=commit.headers, content=commit.body.encode()),
            patience_s=lambda: session.patience_s,
        )


def upload_all(
    session: ServiceSession,
    items: Sequence[tuple[AnyBlob, Path]],
    ask: Callable[[Sequence[AnyBlob]], Sequence[Ticket | None]],
    *,
    check: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> None:
    """Send what its owner does not have yet, some at a time; tickets that end meanwhile are asked for again.

    Parameters
    ----------
    ask : callable
        A ticket for each blob, None where it is there already.
    check : callable
        Called between two of them; raises if there is no time for more.

    Raises
    ------
    UserError, PlatformError
        As whoever keeps the storage says.
    """
    todo = list(items)
    moved_bytes = 0

    def moved(size_bytes: int) -> None:
        nonlocal moved_bytes
        moved_bytes += size_bytes
        if progress is not None:
            progress(size_bytes)

    while todo:
        before = (len(todo), moved_bytes)
        batch = todo[:_TICKETS_AT_ONCE]
        tickets = ask([blob for blob, _ in batch])
        try:
            for (blob, path), ticket in zip(batch, tickets, strict=True):
                check()
                if ticket is None:
                    moved(blob.size_bytes)
                else:
                    upload(session, ticket, path, progress=moved)
                todo = todo[1:]
        except NotAllowed:
            if (len(todo), moved_bytes) == before:
                raise
            logger.info("the tickets have ended; asking for new ones")


def download(
    session: ServiceSession, ticket: Ticket, blob: Blob, target: Path, *, progress: Progress | None = None
) -> Path:
    """`target`, once it holds the blob; nothing is there before the hash is right.

    Raises
    ------
    PlatformError
        If what arrives is not the blob.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".fetch-")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in ticket.parts:
                persist(lambda part=part: _fetch_part(session, part, file), patience_s=lambda: session.patience_s)
                if progress is not None:
                    progress(part.size_bytes)
        arrived = describe(beside)
        if arrived.sha256 != blob.sha256:
            raise PlatformError(
                f"{target.name}: {arrived.size_bytes} bytes arrived with another hash than announced.",
                remedy="Try again; if it stays so, the storage is damaged: tell the operator.",
            )
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _fetch_part(session: ServiceSession, part: TicketPart, out: IO[bytes]) -> None:
    out.seek(part.offset)
    try:
        with session.links.stream(part.method, session.link_url(part.url), headers=part.headers) as response:
            if not response.is_success:
                response.read()
                raise _refusal(response)
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                out.write(chunk)
    except httpx.TransportError as error:
        raise Unavailable(f"The storage cannot be reached ({type(error).__name__}).", remedy="Try again.") from error


def _chunks(source: Path | bytes, offset: int, size: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source[offset : offset + size]
        return
    with source.open("rb") as file:
        file.seek(offset)
        while size and (chunk := file.read(min(_CHUNK_BYTES, size))):
            size -= len(chunk)
            yield chunk


def _request(
    session: ServiceSession, method: str, url: str, *, headers: dict[str, str], content: bytes | Iterator[bytes]
) -> None:
    try:
        response = session.links.request(method, session.link_url(url), headers=headers, content=content)
    except httpx.TransportError as error:
        raise Unavailable(f"The storage cannot be reached ({type(error).__name__}).", remedy="Try again.") from error
    if not response.is_success:
        raise _refusal(response)


def _refusal(response: httpx.Response) -> AxonlabError:
    try:
        return error_from_answer(response.status_code, ErrorAnswer.read_answer(response.content))
    except ValidationError:
        if response.status_code >= _SERVER_ERROR:
            return Unavailable(f"The storage answered {response.status_code}.", remedy="Try again.")
        return PlatformError(
            f"The storage refused the transfer ({response.status_code}).", remedy="Start the job again."
        )
