"""How good the network is during training, on the validation regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.metrics import confusion, scores
from axonlab_core.learning.infer import largest
from axonlab_core.learning.split import Region
from axonlab_core.learning.unet import UNet, folded

_WINDOW_PX = 384
_MAX_PIXELS = 800_000
"""Enough to choose between weights; the final scores are taken from everything."""


class Validation:
    """Windows of the validation regions, the same ones every time."""

    def __init__(self, regions: Sequence[Region], names: Sequence[str], *, stride_px: int) -> None:
        self._names, self._stride_px = names, stride_px
        windows = [window for region in regions for window in _windows(region)]
        # Those with most labels first, so that few windows say much.
        windows.sort(key=lambda window: -int((window[1] != UNKNOWN).sum()))
        self._windows: list[tuple[NDArray[np.float32], NDArray[np.uint8]]] = []
        room = _MAX_PIXELS
        for pixels, labels in windows:
            if (labels != UNKNOWN).any() and (not self._windows or labels.size <= room):
                self._windows.append((pixels, labels))
                room -= labels.size

    def __bool__(self) -> bool:
        """Whether there is anything to validate on."""
        return bool(self._windows)

    def dice(self, net: UNet, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """Dice by class name of the network with `weights`; classes that occur nowhere are left out."""
        before = {key: value.clone() for key, value in net.state_dict().items()}
        net.load_state_dict(weights)
        quick = folded(net)
        net.load_state_dict(before)
        counts = np.zeros((len(self._names),) * 2, np.int64)
        for pixels, labels in self._windows:
            counts += confusion(labels, _labels_of_window(quick, pixels, self._stride_px), len(self._names))
        return {name: s.dice for name, s in scores(counts, self._names).items() if s.dice is not None}


def overall(dice: Mapping[str, float], background: str) -> float:
    """The one number by which weights are compared: mean Dice of the classes, background left out."""
    told = [value for name, value in dice.items() if name != background]
    return float(np.mean(told or list(dice.values()) or [0.0]))


def _windows(region: Region) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    height, width = region.labels.shape
    return [
        (region.pixels[y : y + _WINDOW_PX, x : x + _WINDOW_PX], region.labels[y : y + _WINDOW_PX, x : x + _WINDOW_PX])
        for y in range(0, height, _WINDOW_PX)
        for x in range(0, width, _WINDOW_PX)
    ]


def _labels_of_window(net: UNet, pixels: NDArray[np.float32], stride_px: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % stride_px), (0, -width % stride_px), (0, 0)), mode="edge")
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(padded, 2, 0)))[None]
    device = next(net.parameters()).device
    with torch.inference_mode():
        scored = net(x.to(device).contiguous(memory_format=torch.channels_last))[0]
    return largest(scored.cpu().numpy())[:height, :width]
