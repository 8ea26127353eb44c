"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import torch

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import CheckpointEvent, MetricEvent, WarningEvent
from axonlab_core.learning import schedule
from axonlab_core.learning.checkpoint import save_checkpoint
from axonlab_core.learning.feed import Feed
from axonlab_core.learning.loss import deep_loss
from axonlab_core.learning.memory import less_memory, ran_out_of_memory
from axonlab_core.learning.muon import set_share
from axonlab_core.learning.precision import mixed
from axonlab_core.learning.recipe import Recipe
from axonlab_core.learning.report import Progress, Report
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.training_state import TrainingState
from axonlab_core.learning.validation import Validation, overall
from axonlab_core.learning.workspace import Workspace

_RECENT_STEPS = 20


@dataclass
class Fit:
    """One training, from wherever `state` is to its last step."""

    state: TrainingState
    recipe: Recipe
    stride_px: int
    feed: Feed
    validation: Validation
    background: str
    workspace: Workspace
    spec_sha256: str
    report: Report
    stopping: Stopping
    clock: Callable[[], float]
    """Seconds, from any beginning: what the budget is measured with."""
    _step_s: list[float] = field(default_factory=list)
    _shortened: bool = False

    def run(self) -> None:
        """Train until the last step, saving now and then.

        Raises
        ------
        Interrupted
            If a stop was requested; the state is saved then.
        """
        state, progress = self.state, Progress(self.report, "steps")
        self._began_at = self.clock() - state.spent_s
        self._saved_at = self.clock()
        while state.plan is None or state.step < state.plan.steps:
            if self.stopping.requested:
                self._save()
                self.stopping.check(f"after {state.step} steps")
            began_at = self.clock()
            self._step()
            self._step_s.append(self.clock() - began_at)
            self._look_up()
            if state.plan is None:
                self._calibrate()
            else:
                progress.tell(state.step, state.plan.steps, remaining_s=self._remaining_s())
                self._keep_to_budget()
                if self.clock() - self._saved_at >= self.recipe.checkpoint_every_s:
                    self._save()
        self._save()

    def _step(self) -> None:
        """One step; where memory runs out, the same step with less of it."""
        state = self.state
        while True:
            try:
                loss = self._learn()
                break
            except (RuntimeError, MemoryError) as error:
                if not ran_out_of_memory(error):
                    raise
                self._use_less_memory(error)
        state.losses.append(_finite(loss, state.step))
        state.step += 1
        state.spent_s = self.clock() - self._began_at

    def _learn(self) -> float:
        state = self.state
        set_share(state.optimisers, schedule.rate_share(state.step, state.plan))
        tiles, labels = self.feed.batch(state.step, size=state.batch, tile_px=state.tile_px)
        state.net.train()
        with mixed(state.device, state.precision):
            decoded = state.net.decoded(tiles)
            scores, side_scores = state.net.head(decoded[0]), state.side(decoded)
        loss = deep_loss(scores.float(), [side.float() for side in side_scores], labels)
        for optimiser in state.optimisers:
            optimiser.zero_grad()
        state.scaler.scale(loss).backward()
        for optimiser in state.optimisers:
            state.scaler.step(optimiser)
        state.scaler.update()
        return float(loss.detach())

    def _use_less_memory(self, error: BaseException) -> None:
        state = self.state
        for optimiser in state.optimisers:
            optimiser.zero_grad()
        smaller = less_memory(state.batch, state.tile_px, self.stride_px)
        if smaller is None:
            raise error
        self.report(
            WarningEvent(
                message=f"Memory ran out at {state.batch} tiles of {state.tile_px} px: the training goes on with "
                f"{smaller[0]} tiles of {smaller[1]} px."
            )
        )
        state.batch, state.tile_px = smaller
        if state.device.type == "cuda":
            torch.cuda.empty_cache()

    def _look_up(self) -> None:
        """Add a point to the curve, with a validation where one is due."""
        state = self.state
        point: dict[str, float] = {}
        if schedule.is_validation(state.step, state.plan):
            point = self._validate()
        if point or schedule.is_curve_point(state.step, state.plan):
            point["loss"] = sum(state.losses) / len(state.losses)
            state.losses.clear()
            state.curve.append({"step": float(state.step), **point})
            self.report(MetricEvent(step=state.step, values=point))

    def _validate(self) -> dict[str, float]:
        state = self.state
        if not self.validation:
            state.keep_best(-1.0)
            return {}
        began_at = self.clock()
        dice = self.validation.dice(state.net, state.net.state_dict())
        score = overall(dice, self.background)
        if score > state.best_score:
            state.keep_best(score)
        state.validation_s = self.clock() - began_at
        return {f"val_dice_{name}": value for name, value in dice.items()}

    def _calibrate(self) -> None:
        """Once enough steps have been timed, say how many there will be."""
        state, budget_s = self.state, self.recipe.budget_s or 0.0
        timed = self._step_s[schedule.UNTIMED_STEPS :]
        if not timed or not schedule.is_calibrated(len(self._step_s), state.spent_s, budget_s):
            return
        self._validate()
        state.spent_s = self.clock() - self._began_at
        state.plan = schedule.first_plan(
            budget_s, step=state.step, spent_s=state.spent_s, step_s=median(timed), validation_s=state.validation_s
        )

    def _keep_to_budget(self) -> None:
        """Plan fewer steps if the machine has become slower; says so once."""
        state, budget_s = self.state, self.recipe.budget_s
        if budget_s is None or state.plan is None or state.step % _RECENT_STEPS:
            return
        before = state.plan
        state.plan = schedule.plan_in_time(
            before,
            budget_s,
            step=state.step,
            spent_s=self.clock() - self._began_at,
            step_s=median(self._step_s[-_RECENT_STEPS:]),
            validation_s=state.validation_s,
        )
        if state.plan.steps < before.steps and not self._shortened:
            self._shortened = True
            self.report(
                WarningEvent(
                    message=f"The machine has become slower: {state.plan.steps} steps instead of {before.steps}, so "
                    f"that the {budget_s / 60:g} minutes suffice."
                )
            )

    def _remaining_s(self) -> float:
        state = self.state
        recent = self._step_s[-_RECENT_STEPS:]
        return ((state.plan.steps if state.plan else 0) - state.step) * sum(recent) / len(recent)

    def _save(self) -> None:
        state = self.state
        path = save_checkpoint(self.workspace.checkpoints, state.step, state.checkpoint(self.spec_sha256))
        self._saved_at = self.clock()
        self.report(CheckpointEvent(step=state.step, file=path.name, size_bytes=path.stat().st_size))


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise BadInput(
            f"The loss is no longer a number after {step} steps: the training has diverged.",
            remedy="Use a smaller learning rate.",
        )
    return loss
