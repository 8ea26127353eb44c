"""Storage keys: who may have what where.

    users/<user>/blobs/<sha256>             what a student uploaded: images, label images, dataset manifests, models
    courses/<course>/blobs/<sha256>         what staff published for a course
    jobs/<job>/runs/<attempt>/checkpoints/<sha256>.safetensors
    jobs/<job>/runs/<attempt>/results/<path in the bundle>

Blobs are named by their content *inside an owner's namespace*: knowing a hash says nothing about whether
somebody else has that file. Each attempt writes under its own number, so a run that was given up for dead
cannot touch what its successor wrote.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from axonlab_core.contract.base import shortened

_SAFE_PATH = re.compile(r"^\w[\w .()+=,@-]*$")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_MAX_KEY_CHARACTERS = 512
_MAX_SEGMENT_CHARACTERS = 200
_KEPT_CHARACTERS = 100


def escape(name: str) -> str:
    """`name` as one path segment: all but a-z and 0-9 become `_xx` (the byte in hex), so two names never meet.

    A file system allows 255 bytes for a segment, so the end of a very long name becomes a hash.

    Examples
    --------
    >>> escape("ana.li@uni")
    'ana_2eli_40uni'
    """
    plain = "".join(chr(b) if chr(b) in _PLAIN else f"_{b:02x}" for b in name.encode())
    if len(plain) <= _MAX_SEGMENT_CHARACTERS:
        return plain
    return f"{plain[:_KEPT_CHARACTERS]}_h{hashlib.sha256(name.encode()).hexdigest()}"


def check_relative_path(path: str) -> str:
    """`path`, if it is a plain relative path with forward slashes that stays where it is put.

    Raises
    ------
    ValueError
        If it is absolute, climbs (`..`), holds a hidden or empty segment, or is longer than 512 characters.
    """
    segments = path.split("/")
    plain = all(_SAFE_PATH.fullmatch(s) and not s.endswith((".", " ")) for s in segments)
    if not plain or len(path) > _MAX_KEY_CHARACTERS or PurePosixPath(path).as_posix() != path:
        msg = f"{shortened(path)} is not a plain relative path"
        raise ValueError(msg)
    return path


def user_namespace(user: str) -> str:
    """Where a student's own blobs are."""
    return f"users/{escape(user)}"


def course_namespace(course: str) -> str:
    """Where a course's published blobs are."""
    return f"courses/{escape(course)}"


def blob_key(namespace: str, sha256: str) -> str:
    """Key of the blob with that content in `namespace`."""
    return f"{namespace}/blobs/{sha256}"


def run_prefix(job_id: str, attempt: int) -> str:
    """Everything that one attempt wrote."""
    return f"jobs/{job_id}/runs/{attempt}"


def checkpoint_key(job_id: str, attempt: int, sha256: str) -> str:
    """Key of one checkpoint of an attempt."""
    return f"{run_prefix(job_id, attempt)}/checkpoints/{sha256}.safetensors"


def result_key(job_id: str, attempt: int, path: str) -> str:
    """Key of one file of the result bundle.

    Raises
    ------
    ValueError
        If `path` is not a plain relative path.
    """
    return f"{run_prefix(job_id, attempt)}/results/{check_relative_path(path)}"
