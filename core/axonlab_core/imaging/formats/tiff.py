"""TIFF files of one plane: tiled or in strips, compressed, planar, of either byte order, pyramidal."""

from __future__ import annotations

import math
import re
import struct
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.formats.exif import ROTATIONS, UPRIGHT
from axonlab_core.imaging.formats.raster import (
    RETRY,
    Raster,
    check_size,
    refuse_damaged,
    refuse_oriented,
    refuse_truncated,
)
from axonlab_core.imaging.pixel_size import tiff_pixel_size_um

_MOST_SAMPLES = 4
_MOST_LEVELS = 64
_SMALL_TILE_PX = 1 << 20
BROKEN = (
    tifffile.TiffFileError,
    RuntimeError,  # every codec's own error
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    OSError,
    struct.error,
)
"""What the TIFF library lets through when a file is damaged: it trusts the tags that it reads."""


def read(file: BinaryIO, name: str, *, max_pixels: int) -> Raster:
    """The stored values of a TIFF file of one plane; smaller copies of that plane are passed over."""
    try:
        with tifffile.TiffFile(file) as tiff:
            page = _only_plane(tiff, name)
            _check(page, name, max_pixels)
            _check_complete(page, name, file.seek(0, 2))
            return _raster(page, _channels_last(page), name)
    except BROKEN as error:
        refuse_damaged(name, "TIFF", error)


def _only_plane(tiff: tifffile.TiffFile, name: str) -> tifffile.TiffPage:
    """The one page at full resolution."""
    first = tiff.pages.first
    planes = 1
    places = {first.offset}
    for index in range(1, _MOST_LEVELS):
        try:
            page = tiff.pages.get(index, aspage=True)
        except IndexError:
            break
        if page.offset in places:
            raise BadInput(f"{name} is a damaged TIFF file: its list of pages leads in a circle.", remedy=RETRY)
        places.add(page.offset)
        planes += not (isinstance(page, tifffile.TiffPage) and page.is_reduced)
    stacked = re.search(r"^images=(\d+)\s*$", first.description, re.MULTILINE) if tiff.is_imagej else None
    if stacked:
        planes = max(planes, int(stacked[1]))
    if planes > 1 or first.imagedepth > 1 or tiff.is_stk:
        raise BadInput(
            f"{name} is a TIFF file of several pages ({_count(planes)}).",
            remedy="Save one plane of it as a file of its own; in Fiji: Image > Duplicate…, without 'stack'.",
        )
    return first


def _count(planes: int) -> str:
    if planes == 1:
        return "a stack"
    return str(planes) if planes < _MOST_LEVELS else f"{planes} or more"


def _check(page: tifffile.TiffPage, name: str, max_pixels: int) -> None:
    """Return if the plane is of a kind that may be decoded."""
    check_size(name, width=page.imagewidth, height=page.imagelength, max_pixels=max_pixels)
    # A tile may be larger than its image, and is decoded whole.
    if page.is_tiled and page.tilewidth * page.tilelength > max(max_pixels, _SMALL_TILE_PX):
        raise BadInput(f"{name} has tiles of {page.tilewidth:,} × {page.tilelength:,} px.", remedy=RETRY)
    kind = tifffile.PHOTOMETRIC
    if page.photometric == kind.SEPARATED:
        raise BadInput(f"{name} is in printing colours (CMYK).", remedy="Save it as RGB or grey.")
    jpeg = page.compression in (tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.OJPEG)
    readable = (kind.MINISBLACK, kind.MINISWHITE, kind.RGB, kind.PALETTE, *((kind.YCBCR,) if jpeg else ()))
    if page.photometric not in readable:
        raise BadInput(
            f"{name} is in a colour space that is not read ({_name(page.photometric)}).",
            remedy="Save it as RGB or grey.",
        )
    if page.samplesperpixel > _MOST_SAMPLES:
        raise BadInput(
            f"{name} has {page.samplesperpixel} channels.", remedy="Save the one channel that you want as grey TIFF."
        )
    orientation = page.tags.valueof("Orientation", default=UPRIGHT)
    if orientation in ROTATIONS:
        refuse_oriented(name, ROTATIONS[orientation])
    if page.dtype is None:
        raise BadInput(f"{name} has a sample type that is not read.", remedy="Save it as 8-bit or 16-bit TIFF.")


def _name(value: Any) -> str:
    return getattr(value, "name", str(value))


def _check_complete(page: tifffile.TiffPage, name: str, size_bytes: int) -> None:
    """Return if every strip or tile lies within the file; decoders fill what is missing with zeros."""
    ends = [at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    absent = any(count == 0 for count in page.databytecounts)
    if len(ends) < math.prod(page.chunked) or absent or max(ends, default=0) > size_bytes:
        refuse_truncated(name, "TIFF")
    if page.compression == tifffile.COMPRESSION.NONE and sum(page.databytecounts) * 8 < (
        page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample
    ):
        refuse_truncated(name, "TIFF")


def _channels_last(page: tifffile.TiffPage) -> NDArray[Any]:
    """`(H, W)` or `(H, W, C)` values in this machine's byte order."""
    pixels = np.asarray(page.asarray())
    if page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        pixels = np.moveaxis(pixels, 0, -1)
    shape = (page.imagelength, page.imagewidth, *((page.samplesperpixel,) if page.samplesperpixel > 1 else ()))
    return np.ascontiguousarray(pixels.reshape(shape), dtype=pixels.dtype.newbyteorder("="))


def _raster(page: tifffile.TiffPage, pixels: NDArray[Any], name: str) -> Raster:
    colour = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    channels = 3 if colour else 1
    extra = page.samplesperpixel - channels
    if extra < 0 or extra > 1 or (extra and not colour and not any(page.extrasamples)):
        raise BadInput(
            f"{name} has {page.samplesperpixel} channels that are not red, green and blue.",
            remedy="Save the one channel that you want as grey TIFF, or save an RGB picture.",
        )
    alpha = pixels[..., -1] if extra else None
    if extra:
        pixels = pixels[..., :3] if colour else pixels[..., 0]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    colours = None
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        table = page.colormap
        if table is None:
            raise BadInput(f"{name} is a damaged TIFF file: its palette is missing.", remedy=RETRY)
        # Some programs write 8-bit colours into the 16-bit table.
        colours = (table.T >> (8 if table.max() > 255 else 0)).astype(np.uint8)  # noqa: PLR2004
    return Raster(
        "TIFF",
        pixels,
        page.bitspersample,
        alpha=alpha,
        colours=colours,
        inverted=page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
        pixel_size_um=tiff_pixel_size_um(page),
    )
