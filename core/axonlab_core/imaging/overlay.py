"""A label image drawn over its image."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import UNKNOWN, Palette

_STRETCH_PERCENTILES = (0.5, 99.5)
_SAMPLE_PIXELS = 1_000_000
"""As many pixels as give percentiles that the eye cannot tell from the exact ones."""


def overlay(
    image: NDArray[np.uint8] | NDArray[np.uint16], labels: NDArray[np.uint8], *, palette: Palette, opacity: float = 0.4
) -> NDArray[np.uint8]:
    """The contrast-stretched image with each class in its colour; background and unknown stay transparent.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) array of uint8 or uint16
    labels : (H, W) uint8 array
        Class index of each pixel, 255 = unknown.
    opacity : float
        0 shows the image alone, 1 hides it under the colours.

    Returns
    -------
    (H, W, 3) uint8 array
    """
    return tinted(stretched_rgb(image), labels, palette=palette, opacity=opacity)


def tinted(
    picture: NDArray[np.uint8], labels: NDArray[np.uint8], *, palette: Palette, opacity: float = 0.4
) -> NDArray[np.uint8]:
    """As `overlay`, over an `(H, W, 3)` uint8 picture that is shown as it is."""
    _check_shapes(picture, labels)
    return _blend(picture, labels, palette, opacity)


def contours(
    image: NDArray[np.uint8] | NDArray[np.uint16], labels: NDArray[np.uint8], *, palette: Palette
) -> NDArray[np.uint8]:
    """The contrast-stretched image with a one-pixel line, in the class's colour, inside each region's edge.

    Parameters and the returned array are those of `overlay`.
    """
    rgb = stretched_rgb(image)
    _check_shapes(rgb, labels)
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return _blend(rgb, np.where(edge, labels, np.uint8(UNKNOWN)), palette, opacity=1.0)


def brightness_limits(image: NDArray[np.uint8] | NDArray[np.uint16]) -> tuple[float, float]:
    """The brightness that is shown as black and the one that is shown as white: the middle 99 % lies between."""
    step = max(1, int(np.sqrt(image.size / _SAMPLE_PIXELS)))
    low, high = np.percentile(image[::step, ::step], _STRETCH_PERCENTILES)
    return float(low), float(high)


def stretched_rgb(
    image: NDArray[np.uint8] | NDArray[np.uint16], limits: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """`(H, W, 3)` uint8 picture of an image, its middle 99 % of brightness spread over black to white.

    For a part of an image, `limits` are those of the whole (`brightness_limits`).
    """
    low, high = brightness_limits(image) if limits is None else limits
    # One table entry for each value a pixel may have is far less work than arithmetic on each pixel.
    values = np.arange(np.iinfo(image.dtype).max + 1, dtype=np.float32)
    table = np.clip((values - low) / max(high - low, 1.0) * 255, 0, 255).astype(np.uint8)
    picture = table[image]
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)  # noqa: PLR2004 (H, W, 3)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write an `(H, W, 3)` uint8 picture as PNG."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_bytes(encode_png(rgb))
    os.replace(beside, path)  # noqa: PTH105 (Path.replace says the same)


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an `(H, W, 3)` uint8 picture."""
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(rgb), level=4))


def _check_shapes(rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    if rgb.shape[:2] != labels.shape:
        raise BadInput(
            f"The label image has {labels.shape[1]} × {labels.shape[0]} px and its image "
            f"{rgb.shape[1]} × {rgb.shape[0]} px.",
            remedy="Give the label image that belongs to this image.",
        )


def _blend(rgb: NDArray[np.uint8], labels: NDArray[np.uint8], palette: Palette, opacity: float) -> NDArray[np.uint8]:
    out = rgb.copy()
    for index, colour in enumerate(palette.rgb()):
        if index == 0:
            continue
        inside = labels == index
        out[inside] = np.rint(rgb[inside] * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)
    return out
