"""An exponential moving average of the weights: smoother than the weights of any single step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WINDOW_SHARE = 0.1
"""The average forgets over a tenth of the training."""


def start_average(net: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's state, by key."""
    return {key: value.detach().clone() for key, value in net.state_dict().items()}


@torch.no_grad()
def update_average(average: dict[str, Tensor], net: nn.Module, *, step: int, total: int | None) -> None:
    """Move `average` towards the network, in place; quickly at the beginning, when the weights still are far off."""
    window = 10.0 if total is None else max(10.0, _WINDOW_SHARE * total)
    decay = min((1 + step) / (10 + step), 1 - 1 / window)
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - decay)
        else:
            average[key].copy_(value)
