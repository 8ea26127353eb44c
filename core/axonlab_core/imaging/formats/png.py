"""PNG files. The chunks are read here: decoders turn indices into colours, and some turn 16 bits into 8."""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.formats.exif import ROTATIONS, read_orientation
from axonlab_core.imaging.formats.raster import (
    RETRY,
    Raster,
    check_size,
    read_part,
    refuse_damaged,
    refuse_oriented,
    refuse_truncated,
)

_GREY, _RGB, _INDEXED, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _INDEXED: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")


class _Header(NamedTuple):
    width: int
    height: int
    bits: int
    colour_type: int
    compression: int
    filtering: int
    interlaced: int


def read(file: BinaryIO, name: str, *, max_pixels: int) -> Raster:
    """The stored values of a PNG file."""
    header = _read_header(file, name, max_pixels)
    chunks = _read_chunks(file, name)
    orientation = read_orientation(chunks.get(b"eXIf", b""))
    if orientation in ROTATIONS:
        refuse_oriented(name, ROTATIONS[orientation])
    pixels = _decode(name, header, chunks[b"IDAT"])
    key = chunks.get(b"tRNS")
    if header.colour_type == _INDEXED:
        colours = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8)
        if colours.size % 3:
            raise BadInput(f"{name} is a damaged PNG file: its palette makes no sense.", remedy=RETRY)
        opacity = None if key is None else _table(key)[pixels]
        return Raster("PNG", pixels, header.bits, alpha=opacity, colours=colours.reshape(-1, 3))
    if header.colour_type in (_GREY_ALPHA, _RGB_ALPHA):
        return Raster("PNG", _grey_or_rgb(pixels[..., :-1]), header.bits, alpha=pixels[..., -1])
    return Raster("PNG", pixels, header.bits, alpha=None if key is None else _keyed(name, pixels, key))


def _read_header(file: BinaryIO, name: str, max_pixels: int) -> _Header:
    file.seek(len(_SIGNATURE))
    start = read_part(file, _CHUNK.size + _HEADER.size + 4, name, "PNG")
    if start[4:8] == b"IHDR":
        _check_sum(start[4:-4], start[-4:], name)
    header = _Header(*_HEADER.unpack_from(start, _CHUNK.size))
    known = (header.compression, header.filtering) == (0, 0) and header.interlaced in (0, 1)
    if start[4:8] != b"IHDR" or header.bits not in _DEPTHS.get(header.colour_type, ()) or not known:
        raise BadInput(f"{name} is a damaged PNG file: its header makes no sense.", remedy=RETRY)
    check_size(name, width=header.width, height=header.height, max_pixels=max_pixels)
    return header


def _read_chunks(file: BinaryIO, name: str) -> dict[bytes, bytes]:
    """The chunks that matter, the pieces of the compressed pixels put together."""
    found: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    while True:
        start = file.read(_CHUNK.size)
        if len(start) < _CHUNK.size:
            refuse_truncated(name, "PNG")
        size, kind = _CHUNK.unpack(start)
        if kind == b"IEND":
            break
        if kind == b"acTL":
            raise BadInput(f"{name} is an animated PNG file.", remedy="Save one of its pictures as PNG.")
        if kind not in (b"IDAT", b"PLTE", b"tRNS", b"eXIf"):
            file.seek(size + 4, 1)
            continue
        data = read_part(file, size, name, "PNG")
        _check_sum(kind + data, read_part(file, 4, name, "PNG"), name)
        if kind == b"IDAT":
            pieces.append(data)
        else:
            found[kind] = data
    if not pieces:
        refuse_truncated(name, "PNG")
    return {**found, b"IDAT": b"".join(pieces)}


def _check_sum(part: bytes, checksum: bytes, name: str) -> None:
    if zlib.crc32(part) != int.from_bytes(checksum, "big"):
        refuse_damaged(name, "PNG", ValueError(f"wrong checksum in its part {part[:4].decode()}"))


def _decode(name: str, header: _Header, data: bytes) -> NDArray[Any]:
    """Stored values: the decoder gets a palette image as a grey one, so it never sees the colours."""
    colour_type = _GREY if header.colour_type == _INDEXED else header.colour_type
    plain = _HEADER.pack(*header._replace(colour_type=colour_type))
    stream = b"".join((_SIGNATURE, _chunk(b"IHDR", plain), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))
    try:
        pixels = imagecodecs.png_decode(stream)
    except (RuntimeError, ValueError) as error:
        refuse_damaged(name, "PNG", error)
    if header.bits < 8:  # noqa: PLR2004 (the decoder spreads 1, 2 and 4 bits over 0…255)
        pixels = pixels // np.uint8(255 // (2**header.bits - 1))
    return pixels


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _table(key: bytes) -> NDArray[np.uint8]:
    table = np.full(256, 255, np.uint8)
    table[: len(key)] = np.frombuffer(key[:256], np.uint8)
    return table


def _keyed(name: str, pixels: NDArray[Any], key: bytes) -> NDArray[Any]:
    """Opacity where one grey value or colour stands for transparent."""
    values = np.frombuffer(key, ">u2")
    if values.size != (1 if pixels.ndim == 2 else 3):  # noqa: PLR2004 (H, W)
        raise BadInput(f"{name} is a damaged PNG file: its transparent colour makes no sense.", remedy=RETRY)
    hidden = pixels == values[0] if pixels.ndim == 2 else (pixels == values).all(axis=-1)  # noqa: PLR2004
    return np.where(hidden, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


def _grey_or_rgb(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
