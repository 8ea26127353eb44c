"""One real file of every kind that people have, and what must come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from . import containers
from .corpus import CLASSES, COLOURS, PIXELS, SHAPE, _shape

DEEP = np.random.default_rng(1).integers(0, 65536, SHAPE, np.uint16)
DEEP_COLOURS = np.random.default_rng(2).integers(0, 65536, (*SHAPE, 3), np.uint16)
SMOOTH = np.add.outer(np.arange(23) * 4, np.arange(31) * 5).astype(np.uint8)
SMOOTH_COLOURS = np.stack([SMOOTH, SMOOTH[::-1], 255 - SMOOTH], -1)
HEIGHTS = (PIXELS / 7 - 3).astype(np.float32)
SCALED = np.rint((HEIGHTS.astype(np.float64) + 3) / (255 / 7) * 65535)
GREYS = np.repeat(np.arange(256)[::-1, None], 3, 1).astype(np.uint8)
HEAT = np.stack([np.arange(256), np.arange(256)[::-1], np.zeros(256)], 1).astype(np.uint8)
OPAQUE = np.full((*SHAPE, 1), 255, np.uint8)
KEPT, REFUSED = "kept as stored", "refused"


@dataclass(frozen=True)
class Kind:
    """A kind of file, the rule for it, how to write one, and the pixels that must be read (None: refused)."""

    title: str
    rule: str
    file: str
    write: Callable[[Path], None]
    expected: Any
    tolerance: float = 0

    def __str__(self):
        return self.title.replace(" ", "_")


IMAGES: list[Kind] = []
LABELS: list[Kind] = []


def _tiff(title, rule, pixels, expected=None, *, into=IMAGES, tolerance=0.0, **options):
    def write(path):
        tifffile.imwrite(path, pixels, **({"metadata": None} | options))

    into.append(Kind(title, rule, "cells.tif", write, expected, tolerance))


def _bytes(title, rule, file, data, expected=None, *, into=IMAGES, tolerance=0.0):
    into.append(Kind(title, rule, file, lambda path: path.write_bytes(data), expected, tolerance))


def _with_alpha(pixels, opacity=255):
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return np.concatenate([pixels, OPAQUE // 255 * np.uint8(opacity)], -1)


_tiff("TIFF, 8-bit grey", KEPT, PIXELS, PIXELS)
_tiff("TIFF, 16-bit grey", KEPT, DEEP, DEEP)
_tiff("TIFF, 16-bit grey, big-endian", KEPT, DEEP, DEEP, byteorder=">")
_tiff(
    "TIFF, 12-bit grey",
    "kept as stored: 0 to 4095 in 16 bits",
    DEEP >> 4,
    DEEP >> 4,
    bitspersample=12,
    photometric="minisblack",
)
_tiff(
    "TIFF, 1-bit",
    "becomes 0 and 255",
    PIXELS > 99,
    np.where(PIXELS > 99, 255, 0).astype(np.uint8),
    photometric="minisblack",
)
_tiff(
    "TIFF, 32-bit float grey", "its least value becomes 0, its greatest 65535, linearly between; noted", HEIGHTS, SCALED
)
_tiff(
    "TIFF, 64-bit float grey, big-endian",
    "its least value becomes 0, its greatest 65535, linearly between; noted",
    HEIGHTS.astype(np.float64),
    SCALED,
    byteorder=">",
    tolerance=1,
)
_tiff(
    "TIFF, 16-bit float grey",
    "its least value becomes 0, its greatest 65535, linearly between; noted",
    HEIGHTS.astype(np.float16),
    SCALED,
    tolerance=40,
)
_tiff(
    "TIFF, float grey with NaN",
    "refused: a pixel without brightness is nothing to learn from",
    np.where(PIXELS > 250, np.nan, HEIGHTS).astype(np.float32),
)
_tiff("TIFF, float RGB", REFUSED, COLOURS.astype(np.float32), photometric="rgb")
_tiff(
    "TIFF, signed or 32-bit whole numbers",
    "refused: which part of their range is seen is not certain",
    DEEP.astype(np.int32),
)
_tiff("TIFF, 8-bit RGB", KEPT, COLOURS, COLOURS, photometric="rgb")
_tiff(
    "TIFF, 16-bit RGB, planar",
    KEPT,
    np.moveaxis(DEEP_COLOURS, -1, 0),
    DEEP_COLOURS,
    photometric="rgb",
    planarconfig="separate",
)
_tiff("TIFF, RGB of equal channels", "becomes grey", np.repeat(PIXELS[..., None], 3, -1), PIXELS, photometric="rgb")
_tiff(
    "TIFF, RGBA, opaque",
    "alpha is left out",
    _with_alpha(COLOURS),
    COLOURS,
    photometric="rgb",
    extrasamples=["unassalpha"],
)
_tiff(
    "TIFF, RGBA, transparent in places",
    REFUSED,
    _with_alpha(COLOURS, 9),
    photometric="rgb",
    extrasamples=["unassalpha"],
)
_tiff(
    "TIFF, palette of greys",
    "looked up",
    PIXELS,
    255 - PIXELS,
    photometric="palette",
    colormap=GREYS.T.astype(np.uint16) * 257,
)
_tiff(
    "TIFF, palette of colours",
    "refused: indices are no brightness",
    PIXELS,
    photometric="palette",
    colormap=HEAT.T.astype(np.uint16) * 257,
)
_tiff("TIFF, 0 is white", "turned round, so that 0 is black", PIXELS, 255 - PIXELS, photometric="miniswhite")
_tiff("TIFF, tiled, LZW with predictor", KEPT, DEEP, DEEP, compression="lzw", predictor=True, tile=(16, 16))
_tiff("TIFF, strips, Deflate", KEPT, COLOURS, COLOURS, compression="zlib", rowsperstrip=5, photometric="rgb")
_tiff("TIFF, JPEG inside", "decoded", SMOOTH, SMOOTH, compression="jpeg", tile=(16, 16), tolerance=8)
_tiff("TIFF, CMYK", REFUSED, _with_alpha(COLOURS), photometric="separated")
_tiff("TIFF, CIELAB", REFUSED, COLOURS, photometric="cielab")
_tiff("TIFF, 5 channels", REFUSED, np.zeros((*SHAPE, 5), np.uint8), photometric="minisblack", planarconfig="contig")
_tiff(
    "TIFF, several pages",
    "refused: which page is meant is not certain",
    np.stack([PIXELS, PIXELS]),
    photometric="minisblack",
)
_tiff("TIFF, ImageJ hyperstack", "refused: which plane is meant is not certain", np.stack([DEEP, DEEP]), imagej=True)
_tiff("BigTIFF", KEPT, DEEP, DEEP, bigtiff=True)
_tiff("OME-TIFF, one plane", KEPT, DEEP, DEEP, ome=True, metadata={"axes": "YX"})
_tiff(
    "OME-TIFF, several planes",
    "refused: which plane is meant is not certain",
    np.stack([DEEP, DEEP]),
    ome=True,
    metadata={"axes": "ZYX"},
)


def _ome_pyramid(path):
    with tifffile.TiffWriter(path, ome=True) as out:
        out.write(DEEP, subifds=2, tile=(16, 16), metadata={"axes": "YX"})
        out.write(DEEP[::2, ::2], subfiletype=1, tile=(16, 16))
        out.write(DEEP[::4, ::4], subfiletype=1, tile=(16, 16))


def _page_pyramid(path):
    with tifffile.TiffWriter(path) as out:
        out.write(PIXELS)
        out.write(PIXELS[::2, ::2], subfiletype=1)


IMAGES += [
    Kind("OME-TIFF with a pyramid", "read at full resolution", "cells.ome.tif", _ome_pyramid, DEEP),
    Kind("TIFF with smaller copies as pages", "read at full resolution", "cells.tif", _page_pyramid, PIXELS),
]
_tiff(
    "TIFF with an orientation tag",
    "refused: programs disagree on whether to follow it",
    PIXELS,
    extratags=[(274, 3, 1, 6, True)],
)

for _bits in (1, 2, 4):
    _bytes(
        f"PNG, {_bits}-bit grey",
        "spread over 0 to 255",
        "cells.png",
        containers.png_of_rows(PIXELS >> (8 - _bits), _bits),
        (PIXELS >> (8 - _bits)) * (255 // (2**_bits - 1)),
    )
_bytes("PNG, 8-bit grey", KEPT, "cells.png", imagecodecs.png_encode(PIXELS), PIXELS)
_bytes("PNG, 8-bit grey, interlaced", KEPT, "cells.png", containers.interlaced_png(PIXELS), PIXELS)
_bytes("PNG, 16-bit grey", KEPT, "cells.png", imagecodecs.png_encode(DEEP), DEEP)
_bytes("PNG, 8-bit RGB", KEPT, "cells.png", imagecodecs.png_encode(COLOURS), COLOURS)
_bytes("PNG, 16-bit RGB", KEPT, "cells.png", imagecodecs.png_encode(DEEP_COLOURS), DEEP_COLOURS)
_bytes(
    "PNG, grey with opaque alpha", "alpha is left out", "cells.png", imagecodecs.png_encode(_with_alpha(PIXELS)), PIXELS
)
_bytes("PNG, RGBA, opaque", "alpha is left out", "cells.png", imagecodecs.png_encode(_with_alpha(COLOURS)), COLOURS)
_bytes("PNG, RGBA, transparent in places", REFUSED, "cells.png", imagecodecs.png_encode(_with_alpha(COLOURS, 128)))
_bytes(
    "PNG, palette of greys",
    "looked up",
    "cells.png",
    containers.png_of_rows(PIXELS, 8, colour_type=containers.INDEXED, before=[(b"PLTE", GREYS.tobytes())]),
    255 - PIXELS,
)
_bytes(
    "PNG, palette of colours",
    "refused: indices are no brightness",
    "cells.png",
    containers.png_of_rows(PIXELS, 8, colour_type=containers.INDEXED, before=[(b"PLTE", HEAT.tobytes())]),
)
_bytes("PNG, animated", REFUSED, "cells.png", containers.png_of_rows(PIXELS, 8, before=[(b"acTL", bytes(8))]))
_bytes(
    "PNG with an EXIF orientation",
    "refused: programs disagree on whether to follow it",
    "cells.png",
    containers.png_of_rows(PIXELS, 8, before=[(b"eXIf", containers.exif(6))]),
)

_JPEG, _JPEG_COLOURS = (imagecodecs.jpeg8_encode(pixels, level=98) for pixels in (SMOOTH, SMOOTH_COLOURS))
_bytes("JPEG, grey", "decoded", "cells.jpg", _JPEG, SMOOTH, tolerance=4)
_bytes("JPEG, colour", "decoded", "cells.jpg", _JPEG_COLOURS, SMOOTH_COLOURS, tolerance=20)
_bytes(
    "JPEG, EXIF-rotated",
    "turned upright, as viewers show it; noted, since labels must be drawn that way round",
    "cells.jpg",
    containers.with_exif(_JPEG, 6),
    np.rot90(SMOOTH, -1),
    tolerance=4,
)
_bytes(
    "JPEG, EXIF-mirrored",
    "turned upright, as viewers show it; noted, since labels must be drawn that way round",
    "cells.jpg",
    containers.with_exif(_JPEG, 2, order="<"),
    SMOOTH[:, ::-1],
    tolerance=4,
)
_bytes(
    "JPEG, CMYK",
    REFUSED,
    "cells.jpg",
    imagecodecs.jpeg8_encode(np.zeros((8, 8, 4), np.uint8), colorspace="CMYK", outcolorspace="CMYK"),
)
_bytes("JPEG, 12-bit", REFUSED, "cells.jpg", _JPEG.replace(b"\xff\xc0\x00\x0b\x08", b"\xff\xc0\x00\x0b\x0c"))
_bytes(
    "BMP, 8-bit grey",
    "its palette of greys is looked up",
    "cells.bmp",
    containers.bmp(PIXELS, bits=8, colours=b"".join(bytes((v, v, v, 0)) for v in range(256))),
    PIXELS,
)
_bytes("BMP, 24-bit", KEPT, "cells.bmp", containers.bmp(COLOURS[..., ::-1], bits=24), COLOURS)
_bytes(
    "BMP, 32-bit",
    "its fourth byte is left out",
    "cells.bmp",
    containers.bmp(_with_alpha(COLOURS[..., ::-1], 0), bits=32),
    COLOURS,
)
_bytes(
    "BMP, compressed",
    REFUSED,
    "cells.bmp",
    containers.bmp(PIXELS, bits=8)[:30] + b"\1" + containers.bmp(PIXELS, bits=8)[31:],
)
_bytes("GIF, WebP, HEIF, JPEG 2000, PDF", REFUSED, "cells.gif", b"GIF89a" + bytes(50))
_bytes("CZI, ND2, LIF and other microscopes' own formats", REFUSED, "cells.czi", b"ZISRAWFILE" + bytes(50))

# --- labels ---

_WIDE = CLASSES.astype(np.uint16)
_RGB_CLASSES = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
_bytes("PNG, 8-bit", "values are class indices", "cells.png", imagecodecs.png_encode(CLASSES), CLASSES, into=LABELS)
_bytes("PNG, 16-bit", "values are class indices", "cells.png", imagecodecs.png_encode(_WIDE), CLASSES, into=LABELS)
_bytes(
    "PNG, 2-bit",
    "values are class indices; nothing is spread",
    "cells.png",
    containers.png_of_rows(CLASSES, 2),
    CLASSES,
    into=LABELS,
)
_bytes(
    "PNG with a palette",
    "its indices count, never its colours",
    "cells.png",
    containers.png_of_rows(CLASSES, 8, colour_type=containers.INDEXED, before=[(b"PLTE", HEAT[:3].tobytes())]),
    CLASSES,
    into=LABELS,
)
_bytes("PNG, RGB", REFUSED, "cells.png", imagecodecs.png_encode(_RGB_CLASSES[CLASSES]), into=LABELS)
_tiff("TIFF, 16-bit, big-endian", "values are class indices", _WIDE, CLASSES, into=LABELS, byteorder=">")
_tiff(
    "TIFF, 0 is white",
    "values are class indices; nothing is turned round",
    CLASSES,
    CLASSES,
    into=LABELS,
    photometric="miniswhite",
)
_tiff(
    "TIFF with a palette",
    "its indices count, never its colours",
    CLASSES,
    CLASSES,
    into=LABELS,
    photometric="palette",
    colormap=HEAT.T.astype(np.uint16) * 257,
)
_tiff("TIFF, float", REFUSED, CLASSES.astype(np.float32), into=LABELS)
_tiff("TIFF, 32-bit", "refused: such files mostly number objects", CLASSES.astype(np.uint32), into=LABELS)
_tiff("TIFF, several pages", REFUSED, np.stack([CLASSES, CLASSES]), into=LABELS, photometric="minisblack")
_tiff("TIFF with an orientation tag", REFUSED, CLASSES, into=LABELS, extratags=[(274, 3, 1, 3, True)])
_bytes(
    "JPEG", "refused: class indices do not survive in it", "cells.jpg", imagecodecs.jpeg8_encode(CLASSES), into=LABELS
)
_SQUARE = np.full(SHAPE, 255, np.uint8)
_SQUARE[2:9, 2:9] = 2
_bytes(
    "GeoJSON",
    "a pixel is of a shape if its centre is in it; what nothing covers is 255, unknown",
    "cells.geojson",
    _shape(corners=((2, 2), (9, 2), (9, 9), (2, 9))),
    _SQUARE,
    into=LABELS,
)
