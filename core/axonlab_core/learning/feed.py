"""Batches on their way to the network: made ahead of time where the steps themselves leave the CPU free."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from axonlab_core.learning.sampling import TileSampler

Batch = tuple[Tensor, Tensor]
_AHEAD = 4
_WORKERS = 3


class Feed:
    """The batch of each step, on the device that trains.

    On a GPU the next ones are cut on other threads meanwhile (OpenCV leaves the interpreter to others) and
    copied from pinned memory. On a CPU they would only take the cores from the step. Which batch a step gets
    does not depend on it.
    """

    def __init__(self, sampler: TileSampler, device: torch.device, *, ahead: int | None = None) -> None:
        self._sampler, self._device = sampler, device
        self._ahead = (_AHEAD if device.type == "cuda" else 0) if ahead is None else ahead
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="tiles") if self._ahead else None
        self._coming: dict[tuple[int, int, int], Future[Batch]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def batch(self, step: int, *, size: int, tile_px: int) -> Batch:
        """Tiles and labels of a step, as `TileSampler.batch` gives them."""
        if self._pool is None:
            return self._to_device(self._cut(step, size, tile_px))
        wanted = [(later, size, tile_px) for later in range(step, step + self._ahead)]
        for key in wanted:
            if key not in self._coming:
                self._coming[key] = self._pool.submit(self._cut, *key)
        for key in self._coming.keys() - set(wanted):  # of a size that is no longer used
            self._coming.pop(key).cancel()
        return self._to_device(self._coming.pop(wanted[0]).result())

    def _cut(self, step: int, size: int, tile_px: int) -> Batch:
        tiles, labels = self._sampler.batch(step, size=size, tile_px=tile_px)
        if self._device.type == "cuda":
            return tiles.pin_memory(), labels.pin_memory()
        return tiles, labels

    def _to_device(self, batch: Batch) -> Batch:
        tiles, labels = batch
        return tiles.to(self._device, non_blocking=True), labels.to(self._device, non_blocking=True)
