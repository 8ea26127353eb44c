"""Floating-point brightness as 16-bit numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput

_TOP = 65535
_BAND_ROWS = 256
_FEW_LEVELS = 256
_SAMPLE = 1 << 20


class Scaled(NamedTuple):
    """16-bit pixels, and what was done to get them."""

    pixels: NDArray[np.uint16]
    """`(H, W)`."""
    note: str


def scale_to_16_bits(pixels: NDArray[np.floating[Any]], name: str) -> Scaled:
    """The image whose least value became 0 and whose greatest became 65535, linearly between them.

    An image of one value becomes 0 everywhere.

    Parameters
    ----------
    pixels : (H, W) array of any floating-point type
        Brightness.

    Raises
    ------
    BadInput
        If a value is NaN or infinite.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if not math.isfinite(low) or not math.isfinite(high):
        _refuse(pixels, name)
    # Halves, so that the difference of two large numbers is still a number.
    least, span = low / 2, high / 2 - low / 2
    scaled = np.zeros(pixels.shape, np.uint16)
    if span > 0:
        for row in range(0, pixels.shape[0], _BAND_ROWS):
            band = pixels[row : row + _BAND_ROWS].astype(np.float64)
            scaled[row : row + _BAND_ROWS] = np.rint((band / 2 - least) / span * _TOP)
    note = f"{name} holds floating-point numbers; {low:.6g} to {high:.6g} became 0 to {_TOP}."
    levels = _central_levels(scaled)
    if span > 0 and levels < _FEW_LEVELS:
        note += (
            f" Nearly all of them lie within {levels} of these {_TOP + 1:,} levels, so detail may be lost: "
            "cut off the outliers and save it again."
        )
    return Scaled(scaled, note)


def _refuse(pixels: NDArray[np.floating[Any]], name: str) -> None:
    missing = int(np.isnan(pixels).sum())
    infinite = int(np.isinf(pixels).sum())
    found = " and ".join(f"{count:,} {what}" for count, what in ((missing, "NaN"), (infinite, "infinite")) if count)
    raise BadInput(
        f"{name} holds values that are no brightness: {found} among its {pixels.size:,} pixels.",
        remedy="Fill or cut off these pixels where the image was made, and save it as 16-bit.",
    )


def _central_levels(scaled: NDArray[np.uint16]) -> int:
    """Width of the range that all but the darkest and brightest half percent of the pixels lie in."""
    sample = scaled.ravel()[:: max(1, scaled.size // _SAMPLE)]
    low, high = np.percentile(sample, (0.5, 99.5))
    return int(high - low) + 1
