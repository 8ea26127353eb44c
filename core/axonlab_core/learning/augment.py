"""Augmentation: a tile seen from elsewhere, in another light.

Turning, mirroring, scaling and bending are one look-up per pixel, straight from the 8-bit image: nothing is
interpolated twice, and nothing outside the tile is computed. Contrast and gamma are one table of 256 numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.learning.presets import Augmentation

cv2.setNumThreads(1)  # tiles are too small to be shared out, and torch has the cores
_LEVELS = 256
_NOISE_PX = 1280
"""Noise is cut from one large picture of it: drawing it anew would take longer than all the rest."""


@dataclass(frozen=True, eq=False)
class Source:
    """A region as the augmentation reads it.

    `pixels` is `(H, W, C)` uint8; level n of channel c stands for the number `first[c] + n * step[c]`.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    first: NDArray[np.float32]
    step: NDArray[np.float32]

    @classmethod
    def of(cls, numbers: NDArray[np.float32], labels: NDArray[np.uint8]) -> Source:
        """The source of `(H, W, C)` normalised pixels, in as many levels as 8 bits have.

        An 8-bit image at its own pixel size loses nothing by it: it never had more levels.
        """
        first = numbers.min(axis=(0, 1))
        step = np.maximum(numbers.max(axis=(0, 1)) - first, np.float32(1e-6)) / np.float32(_LEVELS - 1)
        pixels = np.empty(numbers.shape, np.uint8)
        for row, line in enumerate(numbers):  # row by row: no second copy of a large image
            pixels[row] = np.rint((line - first) / step)
        return cls(pixels, np.ascontiguousarray(labels), first, step)


def cut_tile(
    source: Source, row: float, column: float, *, tile_px: int, how: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A tile that shows the pixel at `row`, `column` somewhere, augmented.

    Returns
    -------
    (T, T, C) float32 array
        Normalised pixels; beyond the region its border is mirrored.
    (T, T) uint8 array
        Their labels, 255 = unknown, as everything beyond the region is.
    """
    x, y = _places(row, column, tile_px, how, rng)
    places, fractions = cv2.convertMaps(x, y, cv2.CV_16SC2)
    pixels = np.asarray(
        cv2.remap(source.pixels, places, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    labels = cv2.remap(
        source.labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(UNKNOWN,) * 4
    )
    return _relit(pixels.reshape(tile_px, tile_px, -1), source, how, rng), np.asarray(labels, np.uint8)


def _places(
    row: float, column: float, tile_px: int, how: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of the tile lies in the region: its x and y, counted from the centre of the first pixel."""
    warped = rng.random() < how.warped_share
    angle, zoom = math.pi / 2 * int(rng.integers(4)), 1.0
    if warped:
        angle += rng.uniform(-math.pi / 4, math.pi / 4)
        zoom = math.exp(rng.uniform(-1, 1) * math.log(how.zoom))
    mirror = 1 if rng.random() < 0.5 else -1  # noqa: PLR2004 (heads or tails)
    # (row, column) becomes one of the tile's own pixels, anywhere but close to its edge.
    margin = tile_px // 10
    right, down = (int(place) for place in rng.integers(margin, tile_px - margin, 2))
    u = np.float32(mirror) * (np.arange(tile_px, dtype=np.float32) - right)
    v = (np.arange(tile_px, dtype=np.float32) - down)[:, None]
    cos, sin = round(math.cos(angle), 12) * zoom, round(math.sin(angle), 12) * zoom
    x = np.add(column + cos * u, -sin * v, dtype=np.float32)
    y = np.add(row + sin * u, cos * v, dtype=np.float32)
    if warped and how.bend_px > 0:
        x += _bent(tile_px, how.bend_px, rng)
        y += _bent(tile_px, how.bend_px, rng)
    return x, y


def _bent(tile_px: int, bend_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    points = max(4, tile_px // 32)
    coarse = rng.standard_normal((points, points), np.float32) * np.float32(bend_px)
    return np.asarray(cv2.resize(coarse, (tile_px, tile_px), interpolation=cv2.INTER_CUBIC), np.float32)


def _relit(
    pixels: NDArray[np.uint8], source: Source, how: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """`(T, T, C)` float32 array of `(T, T, C)` levels: other contrast and gamma, blurred, noisy."""
    level = np.linspace(0, 1, _LEVELS, dtype=np.float32)
    if rng.random() < how.gamma_share:
        level **= np.float32(math.exp(rng.uniform(-how.gamma, how.gamma)))
    gain = np.float32(rng.uniform(1 - how.contrast, 1 / (1 - how.contrast)))
    shift = np.float32(rng.uniform(-how.brightness, how.brightness))
    span = source.step * np.float32(_LEVELS - 1)
    table = (source.first + level[:, None] * span) * gain + shift  # (256, C)
    # cv2.LUT wants one row of 256 entries, each with as many channels as the image.
    numbers = cv2.LUT(pixels, table.reshape(1, _LEVELS, -1))
    if rng.random() < how.blur_share:
        numbers = cv2.GaussianBlur(numbers, (0, 0), float(rng.uniform(0.4, how.blur_px)))
    numbers = np.asarray(numbers, np.float32).reshape(pixels.shape)
    if rng.random() < how.noise_share:
        strength = np.float32(rng.uniform(0, how.noise))
        size = pixels.shape[0]
        for channel in range(pixels.shape[2]):
            top, left = (int(place) for place in rng.integers(0, _NOISE_PX - size + 1, 2))
            numbers[:, :, channel] += strength * _noise()[top : top + size, left : left + size]
    return numbers


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((_NOISE_PX, _NOISE_PX), np.float32)
