"""How an image becomes numbers: once per image, the same for training crops and inference tiles.

The numbers come from the image's histogram, so an image of any size is measured exactly, without a copy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.model_card import Normalisation

_ROWS_AT_ONCE = 1024


class Brightness(NamedTuple):
    """What `normalise` needs to know of an image; arrays of one number per channel."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def measure(pixels: NDArray[np.uint8] | NDArray[np.uint16], normalisation: Normalisation) -> Brightness:
    """The brightness of a whole `(H, W)` or `(H, W, C)` image, each channel by itself.

    Low and high are the smallest values that at least so many percent of the pixels do not exceed; mean and
    standard deviation are those of `clip((pixel - low) / (high - low), 0, 1)`.
    """
    histograms = _histograms(pixels)
    below = np.cumsum(histograms, axis=1) / histograms.sum(axis=1, keepdims=True)
    low = (below < normalisation.low_percentile / 100).sum(axis=1).astype(np.float64)
    high = (below < normalisation.high_percentile / 100).sum(axis=1).astype(np.float64)
    high = np.maximum(high, low + 1)  # an image of one brightness
    value = np.clip((np.arange(histograms.shape[1]) - low[:, None]) / (high - low)[:, None], 0, 1)
    weight = histograms / histograms.sum(axis=1, keepdims=True)
    mean = (value * weight).sum(axis=1)
    std = np.sqrt((np.square(value - mean[:, None]) * weight).sum(axis=1))
    return Brightness(low, high, mean, np.maximum(std, 1e-3))


def normalise(pixels: NDArray[np.uint8] | NDArray[np.uint16], brightness: Brightness) -> NDArray[np.float32]:
    """`(H, W, C)` float32 array: the pixels (of the whole image or any part of it) as the network sees them."""
    channels = pixels[:, :, None] if pixels.ndim == 2 else pixels  # noqa: PLR2004 (H, W)
    low, high, mean, std = (part.astype(np.float32) for part in brightness)
    numbers = channels.astype(np.float32)
    numbers -= low
    numbers /= high - low
    np.clip(numbers, 0, 1, out=numbers)
    numbers -= mean
    numbers /= std
    return numbers


def _histograms(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.int64]:
    channels = pixels[:, :, None] if pixels.ndim == 2 else pixels  # noqa: PLR2004 (H, W)
    values = int(np.iinfo(pixels.dtype).max) + 1
    counts = np.zeros((channels.shape[2], values), np.int64)
    for first in range(0, channels.shape[0], _ROWS_AT_ONCE):
        for channel in range(channels.shape[2]):
            rows = channels[first : first + _ROWS_AT_ONCE, :, channel]
            counts[channel] += np.bincount(rows.ravel(), minlength=values)
    return counts
