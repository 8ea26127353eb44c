"""The training loop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from statistics import mean

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import CheckpointEvent, MetricEvent, WarningEvent
from axonlab_core.learning import schedule
from axonlab_core.learning.average import update_average
from axonlab_core.learning.checkpoint import save_checkpoint
from axonlab_core.learning.loss import segmentation_loss
from axonlab_core.learning.recipe import Recipe
from axonlab_core.learning.report import Progress, Report
from axonlab_core.learning.sampling import TileSampler
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.training_state import TrainingState
from axonlab_core.learning.validation import Validation, overall
from axonlab_core.learning.workspace import Workspace


@dataclass
class Fit:
    """One training, from wherever `state` is to its last step."""

    state: TrainingState
    recipe: Recipe
    sampler: TileSampler
    validation: Validation
    background: str
    workspace: Workspace
    spec_sha256: str
    report: Report
    stopping: Stopping
    _step_s: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Train until the last step, saving now and then.

        Raises
        ------
        Interrupted
            If a stop was requested; the state is saved then.
        """
        state, progress = self.state, Progress(self.report, "steps")
        device = next(state.net.parameters()).device
        self._began_at = time.monotonic() - state.spent_s
        self._saved_at = time.monotonic()
        while state.total is None or state.step < state.total:
            if self.stopping.requested:
                self._save()
                self.stopping.check(f"after {state.step} steps")
            began_at = time.monotonic()
            self._step(str(device))
            self._step_s.append(time.monotonic() - began_at)
            self._look_up()
            if state.total is None:
                self._calibrate()
            else:
                progress.tell(state.step, state.total, remaining_s=self._remaining_s())
                if self._out_of_time():
                    break
                if time.monotonic() - self._saved_at >= self.recipe.checkpoint_every_s:
                    self._save()
        self._save()

    def _step(self, device: str) -> None:
        state = self.state
        for group in state.optimiser.param_groups:
            group["lr"] = schedule.learning_rate(state.step, state.total, self.recipe.learning_rate)
        tiles, labels = self.sampler.batch(state.step)
        state.net.train()
        loss = segmentation_loss(state.net(tiles.to(device)), labels.to(device))
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        update_average(state.average, state.net, step=state.step, total=state.total)
        state.losses.append(_finite(float(loss.detach()), state.step))
        state.step += 1
        state.spent_s = time.monotonic() - self._began_at

    def _look_up(self, *, last: bool = False) -> None:
        """Add a point to the curve, with a validation where one is due."""
        state = self.state
        point: dict[str, float] = {}
        if last or schedule.is_validation(state.step, state.total):
            point = self._validate()
        if point or schedule.is_curve_point(state.step, state.total):
            if state.losses:
                point["loss"] = sum(state.losses) / len(state.losses)
                state.losses.clear()
            else:  # this very step is on the curve already
                point["loss"] = state.curve[-1]["loss"]
            self._add_point(point)

    def _validate(self) -> dict[str, float]:
        state = self.state
        if not self.validation:
            state.best = {key: value.clone() for key, value in state.average.items()}
            state.best_step = state.step
            return {}
        began_at = time.monotonic()
        dice = self.validation.dice(state.net, state.average)
        score = overall(dice, self.background)
        if score > state.best_score:
            state.best_score, state.best_step = score, state.step
            state.best = {key: value.clone() for key, value in state.average.items()}
        state.validation_s = time.monotonic() - began_at
        return {f"val_dice_{name}": value for name, value in dice.items()}

    def _add_point(self, values: dict[str, float]) -> None:
        self.state.curve.append({"step": float(self.state.step), **values})
        self.report(MetricEvent(step=self.state.step, values=values))

    def _calibrate(self) -> None:
        """Once enough steps have been timed, say how many there will be. That number stays."""
        state, budget_s = self.state, self.recipe.budget_s or 0.0
        timed = self._step_s[schedule.UNTIMED_STEPS :]
        if not timed or not schedule.is_calibrated(len(self._step_s), state.spent_s, budget_s):
            return
        self._validate()
        state.spent_s = time.monotonic() - self._began_at
        state.total = schedule.steps_in(
            budget_s,
            done=state.step,
            spent_s=state.spent_s,
            step_s=mean(timed),
            validation_s=state.validation_s,
        )

    def _remaining_s(self) -> float:
        recent = self._step_s[-20:]
        return ((self.state.total or 0) - self.state.step) * sum(recent) / len(recent)

    def _out_of_time(self) -> bool:
        """Whether the budget is used up, because the machine has become slower; says so and validates once more."""
        state, budget_s = self.state, self.recipe.budget_s
        total = state.total or 0
        if budget_s is None or state.step >= total or state.spent_s + state.validation_s < budget_s:
            return False
        self.report(
            WarningEvent(
                message=f"The machine has become slower: the training ends after {state.step} of {total} steps, when "
                f"its {budget_s / 60:g} minutes are used up."
            )
        )
        self._look_up(last=True)
        return True

    def _save(self) -> None:
        state = self.state
        path = save_checkpoint(self.workspace.checkpoints, state.step, state.checkpoint(self.spec_sha256))
        self._saved_at = time.monotonic()
        self.report(CheckpointEvent(step=state.step, file=path.name, size_bytes=path.stat().st_size))


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise BadInput(
            f"The loss is no longer a number after {step} steps: the training has diverged.",
            remedy="Use a smaller learning rate.",
        )
    return loss
