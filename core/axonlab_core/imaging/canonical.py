"""The one form in which pixels travel: a plain TIFF whose bytes depend on the pixels alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from axonlab_core.contract.dataset import MAX_IMAGE_PIXELS
from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.formats.raster import check_size
from axonlab_core.imaging.formats.tiff import BROKEN

_TILE_PX = 256


def encode(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """A tiled, deflated TIFF without any metadata, so that equal pixels give equal bytes and one hash.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) array of uint8 or uint16
        An image or a label image.
    """
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        pixels,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",  # noqa: PLR2004 (H, W, 3)
        tile=(_TILE_PX, _TILE_PX),
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
    )
    return out.getvalue()


def decode(source: bytes | Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The pixels that `encode` was given.

    Raises
    ------
    BadInput
        If it is no TIFF of one page, `(H, W)` or `(H, W, 3)`, uint8 or uint16, or has too many pixels.
    """
    where = source.name if isinstance(source, Path) else "the blob"
    try:
        with tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            page = file.pages.first
            plain = len(page.shape) == 2 or (len(page.shape) == 3 and page.shape[2] == 3)  # noqa: PLR2004
            if len(file.pages) != 1 or not plain or page.dtype not in (np.uint8, np.uint16):
                raise BadInput(
                    f"{where} holds {len(file.pages)} pages of shape {page.shape} and type {page.dtype}.",
                    remedy="Images travel as one page of uint8 or uint16, grey or RGB: axonlab.dataset() makes them.",
                )
            check_size(where, width=page.imagewidth, height=page.imagelength, max_pixels=MAX_IMAGE_PIXELS)
            return page.asarray()
    except BROKEN as error:
        raise BadInput(f"{where} cannot be read as TIFF ({error}).", remedy="Build the data set again.") from error
