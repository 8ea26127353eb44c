"""The course of a training: how many steps, the learning rate of each, and when to look up.

Everything here is a function of the step and of the total number of steps. The clock is asked once, to
turn a budget in minutes into that number; afterwards it is only a guard.
"""

from __future__ import annotations

import math

WARM_UP_STEPS = 20
VALIDATIONS = 8
UNTIMED_STEPS = 3
"""The first steps of a process are slow: kernels are chosen, memory is fetched."""
TIMED_STEPS = 10
_CALIBRATION_SHARE = 0.1
_LAST_LEARNING_RATE = 0.01
_RESERVE = 0.03


def learning_rate(step: int, total: int | None, peak: float) -> float:
    """Learning rate of a step: a linear warm-up, then half a cosine down to a hundredth of `peak`.

    While the total is not known yet, the warm-up goes on.
    """
    warm_up = WARM_UP_STEPS if total is None else min(WARM_UP_STEPS, max(1, total // 4))
    if step < warm_up or total is None:
        return peak * min(1.0, (step + 1) / warm_up)
    way = (step - warm_up) / max(1, total - warm_up)
    return peak * (_LAST_LEARNING_RATE + (1 - _LAST_LEARNING_RATE) * (1 + math.cos(math.pi * way)) / 2)


def is_validation(step: int, total: int | None) -> bool:
    """Whether to validate after `step` steps: eight times in a training, the last time at its end."""
    return total is not None and step * VALIDATIONS // total != (step - 1) * VALIDATIONS // total


def is_curve_point(step: int, total: int | None) -> bool:
    """Whether the loss after `step` steps is a point of the curve: every fifth step, or some 200 in all."""
    return step % max(5, (total or 0) // 200) == 0 or step == total


def is_calibrated(step: int, spent_s: float, budget_s: float) -> bool:
    """Whether enough steps have been timed to say how many fit into the budget."""
    enough = step >= UNTIMED_STEPS + TIMED_STEPS
    return enough or (step > UNTIMED_STEPS and spent_s > _CALIBRATION_SHARE * budget_s)


def steps_in(budget_s: float, *, done: int, spent_s: float, step_s: float, validation_s: float) -> int:
    """Total number of steps that fit into the budget beside validations and checkpoints; at least one more."""
    left_s = budget_s * (1 - _RESERVE) - spent_s - VALIDATIONS * validation_s
    return done + max(1, int(left_s / step_s))
