"""All that changes during a training, and its way into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from axonlab_core.learning.average import start_average
from axonlab_core.learning.checkpoint import Checkpoint
from axonlab_core.learning.unet import UNet


@dataclass
class TrainingState:
    """Network, optimiser and the averages and scores kept beside them, after `step` steps."""

    net: UNet
    optimiser: torch.optim.AdamW
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    """The average weights with the best validation score so far."""
    step: int = 0
    total: int | None = None
    """Number of steps in all; None until it has been measured how many fit into the budget."""
    best_score: float = -1.0
    best_step: int = 0
    spent_s: float = 0.0
    """Time spent on training, earlier attempts included."""
    validation_s: float = 0.0
    """What the last validation took."""
    losses: list[float] = field(default_factory=list)
    """Losses since the curve's last point."""
    curve: list[dict[str, float]] = field(default_factory=list)

    def checkpoint(self, spec_sha256: str) -> Checkpoint:
        """The whole state, to be saved."""
        named = [name for name, _ in self.net.named_parameters()]
        moments = {
            f"optimiser.{named[index]}.{key}": value
            for index, entry in self.optimiser.state_dict()["state"].items()
            for key, value in entry.items()
        }
        tensors = {
            **{f"net.{key}": value for key, value in self.net.state_dict().items()},
            **{f"average.{key}": value for key, value in self.average.items()},
            **{f"best.{key}": value for key, value in self.best.items()},
            **moments,
        }
        meta: dict[str, Any] = {
            "spec_sha256": spec_sha256,
            "step": self.step,
            "total": self.total,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "spent_s": self.spent_s,
            "validation_s": self.validation_s,
            "losses": self.losses,
            "curve": self.curve,
        }
        return Checkpoint(tensors, meta)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Become the state that was saved."""
        tensors, meta = checkpoint
        self.net.load_state_dict(_below("net.", tensors))
        device = next(self.net.parameters()).device
        self.average = {key: value.to(device) for key, value in _below("average.", tensors).items()}
        self.best = {key: value.to(device) for key, value in _below("best.", tensors).items()}
        moments = {
            index: _below(f"optimiser.{name}.", tensors) for index, (name, _) in enumerate(self.net.named_parameters())
        }
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": {i: m for i, m in moments.items() if m}, "param_groups": groups})
        self.step, self.total = meta["step"], meta["total"]
        self.best_score, self.best_step = meta["best_score"], meta["best_step"]
        self.spent_s, self.validation_s = meta["spent_s"], meta["validation_s"]
        self.losses, self.curve = list(meta["losses"]), list(meta["curve"])


def new_state(net: UNet, *, learning_rate: float, total: int | None) -> TrainingState:
    """The state before the first step."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=learning_rate, weight_decay=1e-2)
    return TrainingState(net, optimiser, start_average(net), start_average(net), total=total)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value.clone() for key, value in tensors.items() if key.startswith(prefix)}
