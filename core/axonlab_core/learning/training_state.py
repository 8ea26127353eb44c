"""All that changes during a training, and its way into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from axonlab_core.learning.checkpoint import Checkpoint
from axonlab_core.learning.muon import Optimisers, new_optimisers
from axonlab_core.learning.precision import Precision
from axonlab_core.learning.schedule import Plan
from axonlab_core.learning.unet import SideHeads, UNet


@dataclass
class TrainingState:
    """Network, optimisers and the scores kept beside them, after `step` steps."""

    net: UNet
    side: SideHeads
    optimisers: Optimisers
    scaler: torch.amp.GradScaler
    """Keeps small gradients from vanishing in float16; switched off in any other precision."""
    precision: Precision
    best: dict[str, Tensor]
    """The weights with the best validation score so far."""
    batch: int
    tile_px: int
    """As the recipe says, or less since memory ran out."""
    step: int = 0
    plan: Plan | None = None
    """How many steps there will be; None until it has been measured how many fit into the budget."""
    best_score: float = -1.0
    best_step: int = 0
    spent_s: float = 0.0
    """Time spent on training, earlier attempts included."""
    validation_s: float = 0.0
    """What the last validation took."""
    losses: list[float] = field(default_factory=list)
    """Losses since the curve's last point."""
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    def keep_best(self, score: float) -> None:
        """The weights as they are now are the best so far."""
        self.best_score, self.best_step = score, self.step
        self.best = {key: value.detach().clone() for key, value in self.net.state_dict().items()}

    def checkpoint(self, spec_sha256: str) -> Checkpoint:
        """The whole state, to be saved."""
        tensors = {
            **{f"net.{key}": value for key, value in self.net.state_dict().items()},
            **{f"side.{key}": value for key, value in self.side.state_dict().items()},
            **{f"best.{key}": value for key, value in self.best.items()},
            **{
                f"optimiser.{name}/{key}": value
                for name, weight, optimiser in self._optimised()
                for key, value in optimiser.state.get(weight, {}).items()
            },
        }
        meta: dict[str, Any] = {
            "spec_sha256": spec_sha256,
            "precision": self.precision,
            "scaler": self.scaler.state_dict(),
            "batch": self.batch,
            "tile_px": self.tile_px,
            "step": self.step,
            "plan": None if self.plan is None else self.plan.model_dump(),
            "best_score": self.best_score,
            "best_step": self.best_step,
            "spent_s": self.spent_s,
            "validation_s": self.validation_s,
            "losses": self.losses,
            "curve": self.curve,
        }
        return Checkpoint(tensors, meta)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Become the state that was saved; its precision is the one this state was made with."""
        tensors, meta = checkpoint
        self.net.load_state_dict(_below("net.", tensors))
        self.side.load_state_dict(_below("side.", tensors))
        self.best = {key: value.to(self.device) for key, value in _below("best.", tensors).items()}
        for name, weight, optimiser in self._optimised():
            saved = _below(f"optimiser.{name}/", tensors)
            optimiser.state[weight] = {key: _beside(weight, value) for key, value in saved.items()}
        self.scaler.load_state_dict(meta["scaler"])
        self.batch, self.tile_px = meta["batch"], meta["tile_px"]
        self.step = meta["step"]
        self.plan = None if meta["plan"] is None else Plan.model_validate(meta["plan"])
        self.best_score, self.best_step = meta["best_score"], meta["best_step"]
        self.spent_s, self.validation_s = meta["spent_s"], meta["validation_s"]
        self.losses, self.curve = list(meta["losses"]), list(meta["curve"])

    def _optimised(self) -> Iterator[tuple[str, Tensor, torch.optim.Optimizer]]:
        owner = {id(weight): o for o in self.optimisers for group in o.param_groups for weight in group["params"]}
        for prefix, module in (("net", self.net), ("side", self.side)):
            for name, weight in module.named_parameters():
                yield f"{prefix}.{name}", weight, owner[id(weight)]


def new_state(
    net: UNet,
    side: SideHeads,
    *,
    learning_rate: float,
    precision: Precision,
    batch: int,
    tile_px: int,
    plan: Plan | None,
) -> TrainingState:
    """The state before the first step."""
    state = TrainingState(
        net=net,
        side=side,
        optimisers=new_optimisers(net, side, learning_rate, precision),
        scaler=torch.amp.GradScaler("cuda", enabled=precision == "float16"),
        precision=precision,
        best={},
        batch=batch,
        tile_px=tile_px,
        plan=plan,
    )
    state.keep_best(-1.0)
    return state


def _beside(weight: Tensor, value: Tensor) -> Tensor:
    """`value` where `weight` is and with its layout in memory, as the optimiser made it.

    Otherwise sums are rounded differently, and the training that goes on is another one. What has no value for
    each of the weights (AdamW's count of steps) stays on the CPU.
    """
    return torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value.clone() for key, value in tensors.items() if key.startswith(prefix)}
