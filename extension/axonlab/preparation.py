"""One image and its labels: read, checked, and put into the form in which they travel."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonlab.cache import BlobCache
from axonlab.manifest_table import Row
from axonlab.sources import Given, Source
from axonlab_core.contract.dataset import DatasetImage
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import UNKNOWN, Palette
from axonlab_core.contract.tickets import Blob
from axonlab_core.imaging.canonical import encode
from axonlab_core.imaging.read import Picture, read_image, read_labels

_COLOUR_AXES = 3


class Prepared(NamedTuple):
    """An image whose blobs are in the cache."""

    entry: DatasetImage
    labelled_px: tuple[int, ...]
    """Labelled pixels by class."""
    notes: tuple[str, ...]
    """What was done to the file's values."""


def prepare_image(
    source: Source, row: Row, palette: Palette, pixel_size_um: float | None, cache: BlobCache
) -> Prepared:
    """The image's entry in the data set, its blobs being in the cache, and what one should know of it.

    Raises
    ------
    BadInput
        If the image or its labels cannot be used.
    """
    pixels, own_size, notes = _image_of(source.image, source.name)
    height, width = pixels.shape[:2]
    counted = (0,) * len(palette.names)
    label_blob: Blob | None = None
    if source.labels is not None:
        labels = _labels_of(source.labels, source.name, (height, width), palette)
        counted = tuple(np.bincount(labels.ravel(), minlength=UNKNOWN + 1)[: len(palette.names)].tolist())
        label_blob = cache.add(encode(labels))
        notes = (*notes, *_doubts(counted, labels.size, source.name))
    entry = DatasetImage(
        name=source.name,
        image=cache.add(encode(pixels)),
        width_px=width,
        height_px=height,
        channels=3 if pixels.ndim == _COLOUR_AXES else 1,
        dtype="uint8" if pixels.dtype == np.uint8 else "uint16",
        pixel_size_um=pixel_size_um or row.pixel_size_um or own_size,
        group=row.group,
        split=row.split,
        labels=label_blob,
    )
    return Prepared(entry, counted, notes)


def _image_of(given: Given, name: str) -> Picture:
    if isinstance(given, Path):
        return read_image(given)
    array = np.asarray(given)
    grey_or_rgb = array.ndim == 2 or (array.ndim == _COLOUR_AXES and array.shape[2] == 3)  # noqa: PLR2004 ((H, W) or (H, W, 3))
    if not grey_or_rgb or array.size == 0 or array.dtype not in (np.uint8, np.uint16):
        raise BadInput(
            f"{name}: an array of shape {array.shape} and type {array.dtype} is no image.",
            remedy="Give (H, W) or (H, W, 3) of uint8 or uint16; scale other numbers to 0 … 255 or 0 … 65535 first.",
        )
    return Picture(array, None)


def _labels_of(given: Given, name: str, shape: tuple[int, int], palette: Palette) -> NDArray[np.uint8]:
    if isinstance(given, Path):
        return read_labels(given, shape=shape, palette=palette)
    array = np.asarray(given)
    if array.shape != shape or array.dtype.kind not in "iub":
        raise BadInput(
            f"{name}: the labels have shape {array.shape} and type {array.dtype}; the image has shape {shape}.",
            remedy="Labels are integers, one for each pixel of the image.",
        )
    strange = np.setdiff1d(array, [*range(len(palette.names)), UNKNOWN])
    if strange.size:
        raise BadInput(
            f"{name}: the labels hold {', '.join(map(str, strange[:5]))}, which stand for no class.",
            remedy=f"Use 0 to {len(palette.names) - 1} ({', '.join(palette.names)}), and {UNKNOWN} for unknown.",
        )
    return array.astype(np.uint8)


def _doubts(labelled_px: tuple[int, ...], pixels: int, name: str) -> list[str]:
    """What is odd about labels that hold nothing but background and unknown."""
    if labelled_px[0] == 0 or any(labelled_px[1:]) or labelled_px[0] == pixels:
        return []
    note = (
        f"The labels of {name} hold 0 and {UNKNOWN} alone, that is background and unknown; if {UNKNOWN} is to be a "
        "class there, write its index instead."
    )
    return [note]
