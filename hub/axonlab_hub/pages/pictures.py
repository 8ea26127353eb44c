"""Pictures of a result bundle, shown in a page: only what is a PNG, and never as anything else."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import BadInput
from axonlab_hub.pages.pieces import PIECE_BYTES, pieces

MAX_PICTURE_BYTES = 32 * 10**6
"""Larger ones are offered as downloads only."""
_MAX_EDGE_PX = 20_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">8sI4sII")
_IHDR_BYTES = 13

HEADERS = {
    "Content-Disposition": "inline",
    # Opened in a tab of its own it is a picture and nothing more, whatever somebody has put into the file.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def png_pieces(storage: Storage, key: str, size_bytes: int) -> Iterator[bytes]:
    """The bytes of a picture, piece by piece.

    Raises
    ------
    BadInput
        If it is no PNG, or too large to be shown.
    """
    first = storage.read_part(key, offset=0, size_bytes=min(PIECE_BYTES, size_bytes))
    if size_bytes > MAX_PICTURE_BYTES or not _is_png(first):
        raise BadInput("This file is not a picture that can be shown.", remedy="Download it instead.")
    return chain([first], pieces(storage, key, size_bytes, begin=len(first)))


def _is_png(first: bytes) -> bool:
    if len(first) < _HEAD.size:
        return False
    signature, length, chunk, width, height = _HEAD.unpack_from(first)
    edges_fit = 0 < width <= _MAX_EDGE_PX and 0 < height <= _MAX_EDGE_PX
    return signature == _SIGNATURE and length == _IHDR_BYTES and chunk == b"IHDR" and edges_fit
