"""Uncompressed Windows bitmaps: palettes of up to 8 bits, 24-bit and 32-bit colours."""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.formats.raster import Raster, check_size, read_part, refuse_truncated

_INFO = struct.Struct("<IiiHHIIiiII")
_INFO_AT = 14
_PLAIN, _BITFIELDS = 0, 3
_USUAL_MASKS = (0x00FF0000, 0x0000FF00, 0x000000FF)
_LARGEST_INFO_BYTES = 124


class _Header(NamedTuple):
    data_at: int
    info_bytes: int
    width: int
    height: int
    upside_down: bool
    bits: int
    compression: int
    colours: int


def read(file: BinaryIO, name: str, *, max_pixels: int) -> Raster:
    """The stored values of a BMP file; the fourth byte of 32-bit pixels is padding and left out."""
    header = _read_header(file, name)
    check_size(name, width=header.width, height=header.height, max_pixels=max_pixels)
    row_bytes = (header.width * header.bits + 31) // 32 * 4
    file.seek(header.data_at)
    data = read_part(file, row_bytes * header.height, name, "BMP")
    rows = np.frombuffer(data, np.uint8).reshape(header.height, row_bytes)
    if not header.upside_down:
        rows = rows[::-1]
    if header.bits > 8:  # noqa: PLR2004 (colours, blue first)
        channels = header.bits // 8
        stored = rows[:, : header.width * channels].reshape(header.height, header.width, channels)
        return Raster("BMP", np.ascontiguousarray(stored[..., 2::-1]), 8)
    indices = _unpack(rows, header.bits)[:, : header.width]
    file.seek(_INFO_AT + header.info_bytes)
    table = np.frombuffer(read_part(file, 4 * header.colours, name, "BMP"), np.uint8)
    return Raster("BMP", indices, header.bits, colours=table.reshape(-1, 4)[:, 2::-1])


def _read_header(file: BinaryIO, name: str) -> _Header:
    file.seek(0)
    start = file.read(_INFO_AT + _LARGEST_INFO_BYTES)
    if len(start) < _INFO_AT + _INFO.size:
        refuse_truncated(name, "BMP")
    data_at = int.from_bytes(start[10:14], "little")
    info_bytes, width, height, _, bits, compression, _, _, _, colours, _ = _INFO.unpack_from(start, _INFO_AT)
    masks = struct.unpack_from("<III", start.ljust(_INFO_AT + 52, b"\0"), _INFO_AT + 40)
    plain = compression == _PLAIN and bits in (1, 4, 8, 24, 32)
    usual = compression == _BITFIELDS and bits == 32 and masks == _USUAL_MASKS  # noqa: PLR2004
    if not _INFO.size <= info_bytes <= _LARGEST_INFO_BYTES or not (plain or usual):
        raise BadInput(
            f"{name} is a BMP file of a kind that is not read (compressed, 16-bit, or very old).",
            remedy="Save it as PNG.",
        )
    if bits <= 8:  # noqa: PLR2004
        colours = min(colours or 2**bits, 2**bits)
    return _Header(data_at, info_bytes, width, abs(height), height < 0, bits, compression, colours)


def _unpack(rows: np.ndarray, bits: int) -> np.ndarray:
    """One byte for each sample."""
    if bits == 8:  # noqa: PLR2004
        return rows
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return ((rows[:, :, None] >> shifts) & np.uint8(2**bits - 1)).reshape(rows.shape[0], -1)
