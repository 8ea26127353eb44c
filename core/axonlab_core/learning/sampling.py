"""Tiles to learn from: drawn around labelled pixels, and augmented.

The batch of a step depends on the seed and the step alone. A training that was interrupted therefore goes
on with exactly the batches it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.learning.augment import Source, cut_tile
from axonlab_core.learning.presets import Augmentation
from axonlab_core.learning.split import Region

_POSITIONS_KEPT = 200_000
"""Labelled pixels of one class and region to draw from: plenty, and memory stays small."""


class TileSampler:
    """Draws batches from the training regions."""

    def __init__(self, regions: Sequence[Region], *, classes: int, seed: int, augmentation: Augmentation) -> None:
        self._seed, self._augmentation = seed, augmentation
        self._sources = [Source.of(region.pixels, region.labels) for region in regions]
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

    def batch(self, step: int, *, size: int, tile_px: int) -> tuple[Tensor, Tensor]:
        """Tiles `(N, C, T, T)` float32 and their labels `(N, T, T)` int64, 255 = unknown."""
        rng = np.random.default_rng([self._seed, 1, step])
        tiles, labels = zip(*(self._tile(rng, tile_px) for _ in range(size)), strict=True)
        pixels = torch.from_numpy(np.stack(tiles)).movedim(3, 1)  # (N, T, T, C) in memory: channels last
        return pixels.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.stack(labels)).long()

    def _tile(self, rng: np.random.Generator, tile_px: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        k = int(rng.choice(self._classes))  # every class as often: rare ones are what people look for
        r = int(rng.choice(len(self._sources), p=self._region_odds[:, k]))
        source = self._sources[r]
        row, column = divmod(int(rng.choice(self._positions[r, k])), source.labels.shape[1])
        return cut_tile(source, row, column, tile_px=tile_px, how=self._augmentation, rng=rng)


def _some_positions(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    positions = np.flatnonzero(mask)
    return positions if len(positions) <= _POSITIONS_KEPT else rng.choice(positions, _POSITIONS_KEPT, replace=False)
