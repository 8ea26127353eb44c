"""The course of a training: how many steps, the learning rate of each, and when to look up.

Everything here is a function of the step and of the plan. The clock is asked to turn a budget in minutes into
a plan; afterwards only a machine that has become slower can change it, and then to fewer steps.
"""

from __future__ import annotations

import math

from pydantic import Field

from axonlab_core.contract.base import Value

WARM_UP_STEPS = 20
VALIDATIONS = 8
UNTIMED_STEPS = 3
"""The first steps of a process are slow: kernels are chosen, memory is fetched."""
TIMED_STEPS = 10
_CALIBRATION_SHARE = 0.1
_VALIDATION_SHARE = 0.05
_LAST_SHARE = 0.01
_RESERVE = 0.02
_LATE = 1.03
_TAIL_SHARE = 1 / 32


class Plan(Value):
    """How a training goes from step `since` on, when it had come `done` (0 … 1) of its way, to its last step."""

    steps: int = Field(ge=1)
    """Number of steps in all."""
    validations: int = Field(default=VALIDATIONS, ge=1)
    since: int = Field(default=0, ge=0)
    done: float = Field(default=0, ge=0, le=1)

    def way(self, step: int) -> float:
        """How much of its way the training has come after `step` steps: 0 at its beginning, 1 at its end."""
        if step >= self.steps:
            return 1.0
        return self.done + (1 - self.done) * max(0, step - self.since) / (self.steps - self.since)

    def shortened(self, step: int, steps: int) -> Plan:
        """The plan of a training that has come to `step` and is to end after `steps` steps instead.

        The learning rate goes on where it is and falls faster: a training that ends early ends well.
        """
        return self.model_copy(update={"steps": steps, "since": step, "done": self.way(step)})


def rate_share(step: int, plan: Plan | None) -> float:
    """Learning rate of a step as a share of its peak: a linear warm-up, and half a cosine down to a hundredth.

    While there is no plan yet, the warm-up goes on.
    """
    if plan is None:
        return min(1.0, (step + 1) / WARM_UP_STEPS)
    warm_up = min(WARM_UP_STEPS, max(1, plan.steps // 4))
    fallen = _LAST_SHARE + (1 - _LAST_SHARE) * (1 + math.cos(math.pi * plan.way(step))) / 2
    return min(1.0, (step + 1) / warm_up) * fallen


def is_validation(step: int, plan: Plan | None) -> bool:
    """Whether to validate after `step` steps: so many times in a training, the last time at its end."""
    if plan is None:
        return False
    return math.floor(plan.way(step) * plan.validations) > math.floor(plan.way(step - 1) * plan.validations)


def is_curve_point(step: int, plan: Plan | None) -> bool:
    """Whether the loss after `step` steps is a point of the curve: every fifth step, or some 200 in all."""
    steps = 0 if plan is None else plan.steps
    return step % max(5, steps // 200) == 0 or step == steps


def is_calibrated(step: int, spent_s: float, budget_s: float) -> bool:
    """Whether enough steps have been timed to say how many fit into the budget."""
    enough = step >= UNTIMED_STEPS + TIMED_STEPS
    return enough or (step > UNTIMED_STEPS and spent_s > _CALIBRATION_SHARE * budget_s)


def first_plan(budget_s: float, *, step: int, spent_s: float, step_s: float, validation_s: float) -> Plan:
    """The plan for a budget, once `step` steps and a validation have been timed; at least one more step.

    Validations get a twentieth of the budget, so in a short training there are fewer of them.
    """
    validations = VALIDATIONS
    if validation_s > 0:
        validations = min(VALIDATIONS, max(1, int(_VALIDATION_SHARE * budget_s / validation_s)))
    left_s = budget_s * (1 - _RESERVE) - spent_s - validations * validation_s
    return Plan(steps=step + max(1, int(left_s / step_s)), validations=validations, since=step)


def plan_in_time(plan: Plan, budget_s: float, *, step: int, spent_s: float, step_s: float, validation_s: float) -> Plan:
    """`plan`, or a shorter one if it would end late.

    However late it is, some steps remain, in which the learning rate comes down.
    """
    to_validate_s = validation_s * math.ceil(plan.validations * (1 - plan.way(step)))
    left_s = budget_s - spent_s - to_validate_s
    if (plan.steps - step) * step_s <= max(0.0, left_s) + (_LATE - 1) * budget_s:
        return plan
    steps = step + max(1, int(step * _TAIL_SHARE), int(left_s / step_s))
    return plan.shortened(step, steps) if steps < plan.steps else plan
