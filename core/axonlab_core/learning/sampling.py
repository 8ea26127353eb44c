"""Tiles to learn from: drawn around labelled pixels, turned, scaled, and changed a little in brightness.

The batch of a step depends on the seed and the step alone. A training that was interrupted therefore goes
on with exactly the batches it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.learning.split import Region

_POSITIONS_KEPT = 200_000
"""Labelled pixels of one class and region to draw from: plenty, and memory stays small."""


class TileSampler:
    """Draws batches from the training regions."""

    def __init__(self, regions: Sequence[Region], *, classes: int, batch: int, tile_px: int, seed: int) -> None:
        self._batch, self._tile_px, self._seed = batch, tile_px, seed
        self._pixels = [torch.from_numpy(np.ascontiguousarray(np.moveaxis(r.pixels, 2, 0)))[None] for r in regions]
        self._labels = [torch.from_numpy(np.ascontiguousarray(r.labels)) for r in regions]
        counts = np.array([np.bincount(r.labels[r.labels != UNKNOWN], minlength=classes) for r in regions])
        self._classes = np.flatnonzero(counts.sum(axis=0))
        self._region_odds = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)  # (regions, K)
        rng = np.random.default_rng([seed, 0])
        self._positions = {
            (r, int(k)): _some_positions(region.labels == k, rng)
            for r, region in enumerate(regions)
            for k in self._classes
            if counts[r, k]
        }

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Tiles `(N, C, T, T)` float32 and their labels `(N, T, T)` int64, 255 = unknown."""
        rng = np.random.default_rng([self._seed, 1, step])
        tiles, labels = zip(*(self._tile(rng) for _ in range(self._batch)), strict=True)
        return torch.cat(tiles).contiguous(memory_format=torch.channels_last), torch.stack(labels).long()

    def _tile(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        k = int(rng.choice(self._classes))  # every class as often: rare ones are what people look for
        r = int(rng.choice(len(self._labels), p=self._region_odds[:, k]))
        row, column = divmod(int(rng.choice(self._positions[r, k])), self._labels[r].shape[1])
        x, y = self._places(rng, column + 0.5, row + 0.5)
        pixels = _interpolated(self._pixels[r], x, y)
        return pixels * rng.uniform(0.75, 1.3) + rng.uniform(-0.3, 0.3), _nearest(self._labels[r], x, y)

    def _places(self, rng: np.random.Generator, x: float, y: float) -> tuple[Tensor, Tensor]:
        """Where each pixel of a turned, mirrored and scaled tile around (x, y) lies: two `(T, T)` tensors."""
        angle, zoom = math.pi / 2 * int(rng.integers(4)), 1.0
        # Every other tile keeps its pixels as they are, without interpolation.
        if rng.random() < 0.5:  # noqa: PLR2004 (heads or tails)
            angle += rng.uniform(-math.pi / 4, math.pi / 4)
            zoom = math.exp(rng.uniform(-math.log(1.3), math.log(1.3)))
        mirror = 1 if rng.random() < 0.5 else -1  # noqa: PLR2004 (heads or tails)
        # (x, y) becomes one of the tile's own pixels, anywhere but close to its edge.
        margin = self._tile_px // 10
        column, row = rng.integers(margin, self._tile_px - margin, 2)
        v, u = torch.meshgrid(
            torch.arange(self._tile_px, dtype=torch.float64) - float(row),
            mirror * (torch.arange(self._tile_px, dtype=torch.float64) - float(column)),
            indexing="ij",
        )
        cos, sin = round(math.cos(angle), 12) * zoom, round(math.sin(angle), 12) * zoom
        return (x + cos * u - sin * v).float(), (y + sin * u + cos * v).float()


def _some_positions(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    positions = np.flatnonzero(mask)
    return positions if len(positions) <= _POSITIONS_KEPT else rng.choice(positions, _POSITIONS_KEPT, replace=False)


def _interpolated(pixels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`(1, C, T, T)`: linear interpolation between pixel centres; 0, the image's mean, outside."""
    height, width = pixels.shape[2:]
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1)[None]
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _nearest(labels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`(T, T)` uint8: class of the pixel that each place lies in; unknown outside."""
    height, width = labels.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = x.long().clamp(0, width - 1), y.long().clamp(0, height - 1)
    return labels[row, column].where(inside, torch.tensor(UNKNOWN, dtype=torch.uint8))
