"""Label images on disk: tiled OME-TIFF with a pyramid, readable by QuPath, Fiji and napari."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput

_TILE_PX = 256
_SMALLEST_LEVEL_PX = 1024
"""A viewer draws this much without a pyramid."""


def write_label_tiff(
    path: Path, labels: NDArray[np.uint8], *, pixel_size_um: float | None, palette_names: Sequence[str]
) -> None:
    """Write a label image as OME-TIFF; equal labels give equal bytes.

    Parameters
    ----------
    labels : (H, W) uint8 array
        Class index of each pixel, 255 = unknown.
    pixel_size_um : float or None
        Edge of one pixel in µm; becomes PhysicalSizeX and PhysicalSizeY.
    palette_names : sequence of str
        Class names by index; kept as a map annotation.
    """
    levels = _pyramid(labels)
    beside = path.with_name(f"{path.name}.part")
    with tifffile.TiffWriter(beside, ome=True) as file:
        tiled: dict[str, Any] = {
            "tile": (_TILE_PX, _TILE_PX),
            "compression": "zlib",
            "predictor": True,
            "photometric": "minisblack",
            "software": False,
        }
        file.write(
            labels, subifds=len(levels) - 1, metadata=_ome_metadata(labels, pixel_size_um, palette_names), **tiled
        )
        for level in levels[1:]:
            file.write(level, subfiletype=1, **tiled)
    os.replace(beside, path)  # noqa: PTH105 (Path.replace says the same)


def read_label_tiff(path: Path) -> NDArray[np.uint8]:
    """The `(H, W)` uint8 label image that `write_label_tiff` wrote, at full size.

    Raises
    ------
    BadInput
        If it is no TIFF, or holds something else than one uint8 plane.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if len(page.shape) != 2 or page.dtype != np.uint8:  # noqa: PLR2004 (H, W)
                raise BadInput(
                    f"{path.name} holds pixels of shape {page.shape} and type {page.dtype}, no label image.",
                    remedy="A label image has one plane of uint8: the class index of each pixel, 255 = unknown.",
                )
            return page.asarray()
    except (tifffile.TiffFileError, ValueError, OSError) as error:
        raise BadInput(f"{path.name} cannot be read as TIFF ({error}).", remedy="Segment the image again.") from error


def _pyramid(labels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    # Every other pixel: the only way to shrink class indices that invents none.
    levels = [labels]
    while max(levels[-1].shape) > _SMALLEST_LEVEL_PX:
        levels.append(np.ascontiguousarray(levels[-1][::2, ::2]))
    return levels


def _ome_metadata(
    labels: NDArray[np.uint8], pixel_size_um: float | None, palette_names: Sequence[str]
) -> dict[str, Any]:
    names = {str(index): name for index, name in enumerate(palette_names)}
    # tifffile would draw a random identifier; one from the content keeps equal results equal.
    said = hashlib.sha256(repr((labels.shape, pixel_size_um, names)).encode() + np.ascontiguousarray(labels).tobytes())
    metadata: dict[str, Any] = {
        "axes": "YX",
        "UUID": f"urn:uuid:{uuid.UUID(bytes=said.digest()[:16], version=4)}",
        "MapAnnotation": {"Namespace": "axonlab/palette", "Value": names},
    }
    if pixel_size_um is not None:
        metadata |= {
            "PhysicalSizeX": pixel_size_um,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": pixel_size_um,
            "PhysicalSizeYUnit": "µm",
        }
    return metadata
