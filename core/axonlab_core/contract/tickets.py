"""Tickets: permission to move one blob, once, for a while, without any storage library.

A ticket has the same shape for every storage. Parts are sent (or fetched) one by one with exactly the given
method, URL and headers; where there is a commit it ends the upload. URLs may be relative to the service.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from axonlab_core.contract.base import CourseName, Sha256, UtcTime, Value
from axonlab_core.contract.keys import check_relative_path


class TicketPart(Value):
    """One HTTP request that moves the bytes `offset … offset + size_bytes` of the blob."""

    method: Literal["GET", "PUT"]
    url: str
    headers: dict[str, str] = Field(default_factory=dict)
    offset: int = Field(ge=0)
    size_bytes: int = Field(ge=0)


class TicketCommit(Value):
    """The HTTP request that makes the uploaded parts one blob; until then nobody can see them."""

    method: Literal["POST", "PUT"]
    url: str
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


class Ticket(Value):
    """Permission for one key and one verb."""

    parts: tuple[TicketPart, ...]
    commit: TicketCommit | None = None
    expires_at: UtcTime


class Blob(Value):
    """Some bytes, by their hash."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)


class UploadRequest(Value):
    """Blobs that somebody is about to upload to their own namespace."""

    blobs: tuple[Blob, ...] = Field(min_length=1, max_length=1000)
    course: CourseName | None = None
    """Course of the job that they are for: what it has published need not be uploaded."""


class UploadAnswer(Value):
    """For each blob asked about, in order: a ticket, or nothing where this owner or the course already has it."""

    tickets: tuple[Ticket | None, ...]


class FileBlob(Blob):
    """A blob and the path that it has in a workspace or a result bundle."""

    path: Annotated[str, AfterValidator(check_relative_path)]


class FileTicket(Value):
    """A file and the ticket to fetch it with."""

    file: FileBlob
    ticket: Ticket
