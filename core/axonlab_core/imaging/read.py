"""Images and labels from the files that people have.

What a file is, its content says and not its name. The header is read, and limits are checked, before any
pixel is decoded. Whatever cannot be used is a `BadInput` that names the file, what is wrong, and a remedy.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.annotation import Annotation
from axonlab_core.contract.dataset import MAX_IMAGE_PIXELS
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import UNKNOWN, Palette
from axonlab_core.imaging.float_scale import scale_to_16_bits
from axonlab_core.imaging.formats import bmp, jpeg, png, tiff
from axonlab_core.imaging.formats.raster import RETRY, Raster
from axonlab_core.imaging.formats.signature import HEAD_BYTES, READ_FORMATS, Container, identify
from axonlab_core.imaging.geojson import read_geojson
from axonlab_core.imaging.label_values import check_values
from axonlab_core.imaging.microscope_size import sidecar_pixel_size_um
from axonlab_core.imaging.rasterise import rasterise

_READERS = {Container.png: png.read, Container.tiff: tiff.read, Container.jpeg: jpeg.read, Container.bmp: bmp.read}
_BITS_8 = 8
_GREY_AXES = 2


class Picture(NamedTuple):
    """An image's pixels, and how large one is."""

    pixels: NDArray[Any]
    """`(H, W)` or `(H, W, 3)`, uint8 or uint16."""
    pixel_size_um: float | None
    """Edge of one square pixel in µm; None where neither the file nor a microscope's text beside it says it."""
    notes: tuple[str, ...] = ()
    """What was done to the stored values that one should know, as sentences."""


def read_image(path: str | Path, *, max_pixels: int = MAX_IMAGE_PIXELS) -> Picture:
    """The image in a PNG, TIFF, JPEG or BMP file, of 8 or 16 bits, grey or RGB; `docs/formats.md` has every rule.

    Colours whose three channels are equal become grey; an opaque alpha channel is left out; a palette of greys
    is looked up, and where 0 means white the values are turned round. Floating-point brightness is scaled to
    16 bits, and a photo is turned as its EXIF data say; both leave a note.

    Raises
    ------
    BadInput
        If the file cannot be read, has more than `max_pixels` pixels, or is of a kind that would have to be
        guessed at: several pages, colour palettes, transparency, CMYK, numbers that are no brightness.
    """
    path = Path(path)
    with _opened(path) as (file, container):
        if container is Container.json:
            raise BadInput(f"{path.name} is JSON text, not an image.", remedy=READ_FORMATS)
        raster = _with_16_bits(_READERS[container](file, path.name, max_pixels=max_pixels), path.name)
        pixels = np.ascontiguousarray(_grey_where_equal(_shades(raster, path.name)))
    own_size = raster.pixel_size_um or sidecar_pixel_size_um(path, width_px=pixels.shape[1])
    return Picture(pixels, own_size, raster.notes)


def read_labels(path: str | Path, *, shape: tuple[int, int], palette: Palette) -> NDArray[np.uint8]:
    """The label image in a PNG or TIFF file of class indices, or what the shapes of a GeoJSON file paint.

    Values are taken as they are stored: of a palette PNG its indices, never its colours.

    Parameters
    ----------
    path : path
        The file.
    shape : (int, int)
        Height and width of the image that the labels belong to.
    palette : Palette
        Classes; the values allowed are 0 to their number less one, and 255 for unknown.

    Returns
    -------
    (H, W) uint8 array
        Class index of each pixel; 255 is unknown.

    Raises
    ------
    BadInput
        If the file cannot be read, has another size than the image, or holds other values.
    """
    path = Path(path)
    with _opened(path) as (file, container):
        if container is Container.json:
            return _painted(read_geojson(file, path.name), path.name, shape, palette)
        if container in (Container.jpeg, Container.bmp):
            raise BadInput(
                f"{path.name} is a {container} file; class indices do not survive in it.",
                remedy="Save the labels as 8-bit PNG or TIFF from where they were made.",
            )
        raster = _READERS[container](file, path.name, max_pixels=MAX_IMAGE_PIXELS)
        return _class_indices(raster, path.name, shape, palette)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Container]]:
    """The open file, at its beginning, and what it is."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadInput(f"{path.name or path} is a folder.", remedy="Name one file in it.")
        if not stat.S_ISREG(mode):
            raise BadInput(f"{path.name} is not a regular file.", remedy="Save it to disk first.")
        file = path.open("rb")
    except FileNotFoundError:
        raise BadInput(
            f"There is no file {path.name} in {path.absolute().parent}.", remedy="Check the path and its spelling."
        ) from None
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise BadInput(
            f"{path.name} cannot be opened ({why}).", remedy="Check its path and that you may read it."
        ) from error
    with file:
        try:
            container = identify(path.name, file.read(HEAD_BYTES))
            file.seek(0)
            yield file, container
        except OSError as error:
            raise BadInput(f"{path.name} cannot be read ({error}).", remedy="Copy it again, or try later.") from error
        except MemoryError as error:
            raise BadInput(
                f"{path.name} does not fit into this machine's memory.", remedy="Cut it into smaller images."
            ) from error


def _with_16_bits(raster: Raster, name: str) -> Raster:
    """The raster, floating-point brightness being scaled."""
    if raster.pixels.dtype.kind != "f" or raster.pixels.ndim != _GREY_AXES or raster.alpha is not None:
        return raster
    scaled = scale_to_16_bits(raster.pixels, name)
    return raster._replace(pixels=scaled.pixels, bits=16, notes=(*raster.notes, scaled.note))


def _shades(raster: Raster, name: str) -> NDArray[Any]:
    """Brightness or colour as uint8 or uint16."""
    pixels = raster.pixels
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadInput(
            f"{name} holds {'colours' if pixels.ndim > _GREY_AXES else 'numbers'} of type {pixels.dtype}; images are "
            "8-bit or 16-bit unsigned, or floating-point grey.",
            remedy="Scale its values and save it as 16-bit; in Fiji: Image > Type > 16-bit.",
        )
    if not _opaque(raster):
        raise BadInput(
            f"{name} is transparent in places, so it is not certain what is seen there.",
            remedy="Flatten the image (remove its alpha channel) and save it again.",
        )
    if raster.colours is not None:
        if (raster.colours != raster.colours[:, :1]).any():
            raise BadInput(
                f"{name} has a palette of colours; its pixels are numbers of colours, not brightness.",
                remedy="Save it as grey or RGB; in Fiji: Image > Lookup Tables > Grays, then save.",
            )
        if pixels.max() >= len(raster.colours):
            raise BadInput(
                f"{name} is a damaged {raster.container} file: its palette lacks shades that its pixels use.",
                remedy=RETRY,
            )
        return raster.colours[:, 0][pixels]
    if raster.inverted:
        pixels = (2**raster.bits - 1) - pixels
    return pixels * np.uint8(255 // (2**raster.bits - 1)) if raster.bits < _BITS_8 else pixels


def _opaque(raster: Raster) -> bool:
    return raster.alpha is None or bool((raster.alpha == np.iinfo(raster.alpha.dtype).max).all())


def _grey_where_equal(pixels: NDArray[Any]) -> NDArray[Any]:
    """One channel where the three are equal everywhere."""
    if pixels.ndim == _GREY_AXES:
        return pixels
    same = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0] if same else pixels


def _painted(annotation: Annotation, name: str, shape: tuple[int, int], palette: Palette) -> NDArray[np.uint8]:
    """What the shapes of a file say; at least one pixel of them lies in the image."""
    try:
        labels = rasterise(annotation, shape=shape, palette=palette)
    except BadInput as error:
        raise BadInput(f"{name}: {error.message[:1].lower()}{error.message[1:]}", remedy=error.remedy) from error
    if (labels == UNKNOWN).all():
        raise BadInput(
            f"{name}: no shape covers a pixel of its image, which is {shape[1]} × {shape[0]} px.",
            remedy="Coordinates are pixels (not µm) from the top left corner; check that the two belong together.",
        )
    return labels


def _class_indices(raster: Raster, name: str, shape: tuple[int, int], palette: Palette) -> NDArray[np.uint8]:
    """The stored values, if they are class indices of an image of that shape."""
    pixels = raster.pixels
    classes = f"0 to {len(palette.classes) - 1} ({', '.join(palette.names)}), and 255 for unknown"
    if pixels.ndim != _GREY_AXES:
        raise BadInput(
            f"{name} holds colours, not class indices.",
            remedy=f"Save the labels as one channel of class indices: {classes}.",
        )
    if pixels.shape != shape:
        raise BadInput(
            f"{name} is {pixels.shape[1]} × {pixels.shape[0]} px and its image is {shape[1]} × {shape[0]} px.",
            remedy="Labels must have the size of their image; check that the two belong together.",
        )
    if pixels.dtype.kind == "f":
        raise BadInput(
            f"{name} holds floating-point numbers ({pixels.dtype}), not class indices.",
            remedy=f"Labels are class indices of 8 or 16 bits: {classes}. Save classes, no probabilities.",
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadInput(
            f"{name} holds numbers of type {pixels.dtype}, as instance masks do (one number for each object).",
            remedy=f"Labels are class indices of 8 or 16 bits: {classes}. Give each object its class, and save again.",
        )
    if raster.colours is None and not _opaque(raster):
        raise BadInput(f"{name} is transparent in places.", remedy="Save it without alpha; unknown pixels are 255.")
    check_values(pixels, name, palette)
    return pixels.astype(np.uint8)
