"""The base of every value that crosses a process.

Values are frozen. Whoever *receives a request* refuses unknown fields, so a typing error is an answer and
not a silent default. Whoever *reads an answer* ignores them, so that an old kernel survives an upgrade of
the service: `read_answer` is the one place where that leniency is granted.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints


class Value(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read_answer(cls, text: str | bytes) -> Self:
        """The value in an answer's JSON text; fields of a newer service are ignored, at every depth."""
        return cls.model_validate_json(text, extra="ignore")

    def canonical_json(self) -> bytes:
        """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes, so its hash is a name."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    def content_sha256(self) -> str:
        """Hex SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical_json()).hexdigest()


def utc_now() -> datetime:
    """The present time in UTC, with its time zone."""
    return datetime.now(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
"""A point in time; naive times are refused."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Hex SHA-256 of a blob's bytes; it is the blob's name within its owner's namespace."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{8,40}$")]
"""Id of a job: opaque and not guessable."""

COURSE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
CourseName = Annotated[str, StringConstraints(pattern=COURSE_PATTERN)]
"""Name of a course, as in the hub group `nbgrader-<course>`."""

_MAX_NAME_BYTES = 200  # a file system allows 255 for a name, and results add an ending
NAME_RULE = (
    "Names have 1 to 100 letters, digits, spaces or . _ - + ( ) = , @, and start with a letter, digit or underscore."
)
_LONGEST_NAME = 100
_LONGEST_SHOWN = 60
_LETTER = re.compile(r"[\w .()+=,@-]")
_NAME = re.compile(r"^\w(?:[\w .()+=,@-]{0,98}[\w)+=@-])?$")


def check_image_name(name: str) -> str:
    """`name`, if it may become part of a file name on every system we write to.

    Raises
    ------
    ValueError
        If it is empty, longer than 100 characters or 200 bytes, starts with a dot, or holds a path separator.
    """
    if not _NAME.fullmatch(name) or len(name.encode()) > _MAX_NAME_BYTES:
        msg = f"{shortened(name)} cannot be an image's name: {_fault(name)}"
        raise ValueError(msg)
    return name


def _fault(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > _LONGEST_NAME:
        return f"it has {len(name)} characters, and {_LONGEST_NAME} are the most"
    if len(name.encode()) > _MAX_NAME_BYTES:
        return f"it has {len(name.encode())} bytes, and {_MAX_NAME_BYTES} are the most"
    strange = next((letter for letter in name if not _LETTER.fullmatch(letter)), None)
    if strange is not None:
        return f"it holds {strange!r}"
    return f"it ends with {name[-1]!r}" if _NAME.fullmatch(name[0]) else f"it starts with {name[0]!r}"


def shortened(text: str) -> str:
    """`text` in quotes, its middle left out where it is long; for messages."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:40]}…{text[-10:]}")


ImageName = Annotated[str, AfterValidator(check_image_name)]
"""An image's name: the stem of the file it came from, and of every result about it."""
