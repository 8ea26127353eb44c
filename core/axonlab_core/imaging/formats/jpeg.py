"""JPEG files."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

import imagecodecs
import numpy as np

from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.formats.exif import ROTATIONS, UPRIGHT, read_orientation, upright
from axonlab_core.imaging.formats.raster import RETRY, Raster, check_size, refuse_damaged, refuse_truncated

_MARKER = 0xFF
_START_OF_SCAN = 0xDA
_END = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_APPLICATION_1 = 0xE1
_EXIF = b"Exif\0\0"
_BARE = (0x01, *range(0xD0, 0xD9))
_FRAME_BYTES = 6


class _Frame(NamedTuple):
    marker: int
    bits: int
    height: int
    width: int
    components: int
    orientation: int


def read(file: BinaryIO, name: str, *, max_pixels: int) -> Raster:
    """The pixels of a JPEG file as viewers show them: turned as its EXIF data say."""
    file.seek(2)
    frame = _find_frame(file, name)
    check_size(name, width=frame.width, height=frame.height, max_pixels=max_pixels)
    if frame.components not in (1, 3):
        raise BadInput(
            f"{name} is a JPEG file with {frame.components} channels (CMYK, for printing).",
            remedy="Save it as RGB or grey.",
        )
    if frame.marker not in _DECODABLE or frame.bits != 8:  # noqa: PLR2004
        raise BadInput(f"{name} is a JPEG file of a rare kind ({frame.bits} bits).", remedy="Save it as PNG or TIFF.")
    body_at = file.tell()
    file.seek(0)
    data = file.read()
    # The decoder fills what is missing with grey and says nothing.
    if data.rfind(_END) < body_at:
        refuse_truncated(name, "JPEG")
    try:
        pixels = imagecodecs.jpeg8_decode(data)
    except (RuntimeError, ValueError) as error:
        refuse_damaged(name, "JPEG", error)
    if frame.orientation == UPRIGHT:
        return Raster("JPEG", pixels, 8)
    note = (
        f"{name} was {ROTATIONS[frame.orientation]}, as its EXIF data say and viewers show it: "
        "its labels must be drawn that way round."
    )
    return Raster("JPEG", np.ascontiguousarray(upright(pixels, frame.orientation)), 8, notes=(note,))


def _find_frame(file: BinaryIO, name: str) -> _Frame:
    """The frame header; the file then stands at the first scan."""
    frame: _Frame | None = None
    orientation = UPRIGHT
    while True:
        marker = _next_marker(file, name)
        if marker in _BARE:
            continue
        size = int.from_bytes(file.read(2), "big") - 2
        if size < 0:
            refuse_truncated(name, "JPEG")
        if marker == _START_OF_SCAN:
            break
        if marker in _FRAMES:
            body = file.read(size)
            if len(body) < _FRAME_BYTES:
                refuse_truncated(name, "JPEG")
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            frame = _Frame(marker, body[0], height, width, body[5], UPRIGHT)
        elif marker == _APPLICATION_1:
            body = file.read(size)
            if body.startswith(_EXIF):
                orientation = read_orientation(body.removeprefix(_EXIF))
        else:
            file.seek(size, 1)
    if frame is None:
        raise BadInput(f"{name} is a JPEG file without a picture.", remedy=RETRY)
    return frame._replace(orientation=orientation)


def _next_marker(file: BinaryIO, name: str) -> int:
    start = file.read(2)
    if len(start) < 2:  # noqa: PLR2004
        refuse_truncated(name, "JPEG")
    if start[0] != _MARKER:
        refuse_damaged(name, "JPEG", ValueError("no marker where one must be"))
    marker = start[1]
    while marker == _MARKER:
        following = file.read(1)
        if not following:
            refuse_truncated(name, "JPEG")
        marker = following[0]
    return marker
