"""The orientation in EXIF data: how a camera was held."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_ORIENTATION, _SHORT = 0x0112, 3
_ENTRY_BYTES = 12
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
ROTATIONS = {
    2: "mirrored left to right",
    3: "turned by 180°",
    4: "mirrored top to bottom",
    5: "mirrored along its diagonal",
    6: "turned by 90° to the right",
    7: "mirrored along its other diagonal",
    8: "turned by 90° to the left",
}
"""What is done to the stored pixels so that they are upright, by orientation."""


def read_orientation(exif: bytes) -> int:
    """Orientation 1 to 8 of EXIF data (a TIFF header and its first directory); 1, upright, where they say none."""
    order = _ORDERS.get(exif[:4])
    if order is None or len(exif) < 8:  # noqa: PLR2004 (the header)
        return UPRIGHT
    (at,) = struct.unpack_from(f"{order}I", exif, 4)
    if at + 2 > len(exif):
        return UPRIGHT
    (entries,) = struct.unpack_from(f"{order}H", exif, at)
    for start in range(at + 2, min(at + 2 + entries * _ENTRY_BYTES, len(exif) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start)
        if tag == _ORIENTATION and kind == _SHORT:
            return value if value in ROTATIONS else UPRIGHT
    return UPRIGHT


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The pixels as viewers show them.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) array
        As they are stored.
    orientation : int
        1 to 8.

    Returns
    -------
    (H, W) or (W, H) array, with channels if there were any
        A view; height and width change places for orientations 5 to 8.
    """
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
