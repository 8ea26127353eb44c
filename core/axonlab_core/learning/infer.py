"""From an image to its label image: strip by strip, tile by tile.

Every tile is given a halo as wide as the network can see, and tiles begin at multiples of the network's
stride. A tile's middle is then what the network would have said in the whole image: there are no seams to
blend away. Beside the image and its labels, memory holds one strip at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.resample import (
    resample_columns,
    resample_rows,
    resampled_length,
    resampling_matrix,
    source_range,
)
from axonlab_core.learning.normalise import Brightness, normalise
from axonlab_core.learning.unet import UNet

CELL_PX = 16
"""Edge of the cells in which doubt is told: much finer than anything that somebody would annotate at once."""
TILE_PX = 768
"""Edge of a tile's middle: large enough that the halo costs little, small enough for 4 GB of memory."""

Image = NDArray[np.uint8] | NDArray[np.uint16]


class Reach(NamedTuple):
    """What tiles must respect: `Preset.halo_px` and `Preset.stride_px`."""

    halo_px: int
    stride_px: int


class Prediction(NamedTuple):
    """What a model says of an image."""

    labels: NDArray[np.uint8]
    """`(H, W)`: class of each pixel."""
    doubt: NDArray[np.float32]
    """`(H / CELL_PX, W / CELL_PX)`, rounded up: how undecided the model is in each cell of the image, 0 to 1.

    The mean over the cell's pixels of 1 less the distance between the two most probable classes.
    """


def predict(
    net: UNet,
    pixels: Image,
    *,
    reach: Reach,
    brightness: Brightness,
    scale: float,
    tile_px: int = TILE_PX,
    on_tile: Callable[[int, int], None] | None = None,
) -> Prediction:
    """The class of every pixel of an image, and where the model is in doubt.

    Parameters
    ----------
    net : UNet
        Folded, on the CPU or a GPU.
    pixels : (H, W) or (H, W, C) array of uint8 or uint16
    brightness : Brightness
        Of the whole image that `pixels` is, or is a part of.
    scale : float
        Model pixels per image pixel.
    on_tile : callable
        Called with (tiles done, tiles in all) after each tile; may raise to stop.

    Raises
    ------
    BadInput
        If the model's answer is no number: its weights are damaged.
    """
    work = _ModelGrid(net, pixels, reach=reach, brightness=brightness, scale=scale, tile_px=tile_px, on_tile=on_tile)
    height, width = pixels.shape[:2]
    labels = np.empty((height, width), np.uint8)
    doubt = np.zeros((-(-height // CELL_PX), -(-width // CELL_PX)))
    for first, end in work.strips:
        probabilities = work.probabilities_of_rows(first, end)
        labels[first:end] = largest(probabilities)
        by_column = np.add.reduceat(_doubt(probabilities), np.arange(0, width, CELL_PX), axis=1, dtype=np.float64)
        np.add.at(doubt, np.arange(first, end) // CELL_PX, by_column)
    if not np.isfinite(doubt).all():
        raise BadInput("The model's weights hold values that are not numbers.", remedy="Train the model again.")
    cells = np.outer(_cell_lengths(height), _cell_lengths(width))
    return Prediction(labels, (doubt / cells).astype(np.float32))


def _cell_lengths(length_px: int) -> NDArray[np.int64]:
    """How many pixels each cell along an edge has: the last one may be smaller."""
    first = np.arange(0, length_px, CELL_PX)
    return np.minimum(first + CELL_PX, length_px) - first


def _doubt(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(H, W)`: 1 less the distance between the two largest of `(K, H, W)` probabilities."""
    best, second = probabilities[0], np.zeros_like(probabilities[0])
    for plane in probabilities[1:]:
        second = np.maximum(second, np.minimum(best, plane))
        best = np.maximum(best, plane)
    return 1 - (best - second)


def largest(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`(H, W)` uint8 index of the largest of `(K, H, W)` numbers, the first of equal ones.

    Comparing planes two by two is many times faster than numpy's argmax along the first axis.
    """
    best, index = probabilities[0], np.zeros(probabilities.shape[1:], np.uint8)
    for k in range(1, len(probabilities)):
        index[probabilities[k] > best] = k
        best = np.maximum(best, probabilities[k])
    return index


class _ModelGrid:
    """An image on the model's grid, of which only the rows asked for ever exist."""

    def __init__(
        self,
        net: UNet,
        pixels: Image,
        *,
        reach: Reach,
        brightness: Brightness,
        scale: float,
        tile_px: int,
        on_tile: Callable[[int, int], None] | None,
    ) -> None:
        self._net, self._pixels, self._reach, self._brightness = net, pixels, reach, brightness
        self._device = next(net.parameters()).device
        self._on_tile, self._done = on_tile, 0
        height, width = pixels.shape[:2]
        self._rows = _Axis(height, scale, reach.stride_px)
        self._columns = _Axis(width, scale, reach.stride_px)
        self._tile_px = max(reach.stride_px, tile_px // reach.stride_px * reach.stride_px)
        strip_px = max(1, int(self._tile_px / scale))
        self.strips = [(first, min(first + strip_px, height)) for first in range(0, height, strip_px)]
        self._tiles = len(self.strips) * math.ceil(self._columns.padded_px / self._tile_px)

    def probabilities_of_rows(self, first: int, end: int) -> NDArray[np.float32]:
        """`(K, end - first, W)` class probabilities of the image's own rows `first … end - 1`."""
        begin, stop = self._rows.model_range(first, end)
        model = self._on_model_grid(begin, stop)[:, :, : self._columns.model_px]
        if self._rows.back is None or self._columns.back is None:
            return model[:, first - begin : end - begin]
        inside = model[:, : self._rows.model_px - begin]
        rows = self._rows.back[first:end, begin : begin + inside.shape[1]]
        return np.stack([resample_columns(resample_rows(plane, rows), self._columns.back) for plane in inside])

    def _on_model_grid(self, begin: int, stop: int) -> NDArray[np.float32]:
        """`(K, stop - begin, padded width)` class probabilities; `begin` and `stop` are multiples of the stride."""
        halo = self._reach.halo_px
        top, bottom = max(0, begin - halo), min(self._rows.padded_px, stop + halo)
        x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(self._input_rows(top, bottom), 2, 0)))[None]
        parts: list[NDArray[np.float32]] = []
        for left in range(0, self._columns.padded_px, self._tile_px):
            right = min(left + self._tile_px, self._columns.padded_px)
            outer_left, outer_right = max(0, left - halo), min(self._columns.padded_px, right + halo)
            tile = x[:, :, :, outer_left:outer_right].to(self._device).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                probability = self._net(tile)[0].softmax(dim=0)
            middle = probability[:, begin - top : stop - top, left - outer_left : right - outer_left]
            parts.append(middle.cpu().numpy())
            self._done += 1
            if self._on_tile is not None:
                self._on_tile(self._done, self._tiles)
        return np.concatenate(parts, axis=2)

    def _input_rows(self, top: int, bottom: int) -> NDArray[np.float32]:
        """`(bottom - top, padded width, C)` normalised rows of the model's grid; the border is repeated outside."""
        stop = min(bottom, self._rows.model_px)
        if self._rows.there is None or self._columns.there is None:
            numbers = normalise(self._pixels[top:stop], self._brightness)
        else:
            first, end = source_range(self._rows.there, top, stop)
            source = normalise(self._pixels[first:end], self._brightness)
            numbers = resample_columns(
                resample_rows(source, self._rows.there[top:stop, first:end]), self._columns.there
            )
        return np.pad(numbers, ((0, bottom - stop), (0, self._columns.padding_px), (0, 0)), mode="edge")


class _Axis:
    """One axis of an image and of the model's grid."""

    def __init__(self, length_px: int, scale: float, stride_px: int) -> None:
        self._stride_px = stride_px
        self.model_px = resampled_length(length_px, scale)
        self.padded_px = _up(self.model_px, stride_px)
        self.padding_px = self.padded_px - self.model_px
        self.there: csr_array | None = None
        self.back: csr_array | None = None
        if scale != 1:
            self.there = resampling_matrix(length_px, self.model_px)
            self.back = resampling_matrix(self.model_px, length_px)

    def model_range(self, first: int, end: int) -> tuple[int, int]:
        """The model's pixels, in whole strides, that the image's pixels `first … end - 1` are made of."""
        begin, stop = (first, end) if self.back is None else source_range(self.back, first, end)
        return begin // self._stride_px * self._stride_px, _up(stop, self._stride_px)


def _up(length_px: int, stride_px: int) -> int:
    return -(-length_px // stride_px) * stride_px
