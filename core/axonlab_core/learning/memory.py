"""When memory runs out: how to tell, and what to do with less of it."""

from __future__ import annotations

import torch

_SMALLEST_TILE_PX = 64


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether a step failed for want of memory, of the GPU or of the machine."""
    # On a CPU torch raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def less_memory(batch: int, tile_px: int, stride_px: int) -> tuple[int, int] | None:
    """Half the batch or, where there is nothing to halve, half the tile; None if it is as small as it may be."""
    if batch > 2:  # noqa: PLR2004 (batch norm compares tiles: at least two)
        return batch // 2, tile_px
    smaller_px = tile_px // 2 // stride_px * stride_px
    return (batch, smaller_px) if smaller_px >= max(_SMALLEST_TILE_PX, 2 * stride_px) else None
