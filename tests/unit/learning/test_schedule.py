import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_core.learning import schedule
from axonlab_core.learning.fit import _finite


def test_the_learning_rate_rises_then_falls():
    rates = [schedule.learning_rate(step, 200, 1.0) for step in range(200)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == 1
    assert rates[0] < 0.1
    assert rates[-1] < 0.02


def test_what_is_done_before_the_total_is_known_fits_any_long_training():
    early = [schedule.learning_rate(step, None, 1.0) for step in range(13)]
    assert early == [schedule.learning_rate(step, 500, 1.0) for step in range(13)]


@pytest.mark.parametrize("total", [1, 5, 8, 9, 333])
def test_it_validates_eight_times_and_at_the_end(total):
    steps = [step for step in range(1, total + 1) if schedule.is_validation(step, total)]
    assert len(steps) == min(schedule.VALIDATIONS, total)
    assert steps[-1] == total


def test_the_steps_fit_into_the_budget():
    total = schedule.steps_in(120, done=13, spent_s=10, step_s=0.5, validation_s=1)
    assert 10 + (total - 13) * 0.5 + 8 * 1 <= 120
    assert 10 + (total - 13) * 0.5 + 8 * 1 > 110


def test_a_budget_that_is_used_up_still_ends():
    assert schedule.steps_in(1, done=4, spent_s=10, step_s=3, validation_s=1) == 5


def test_it_is_calibrated_early_when_the_budget_is_small():
    assert not schedule.is_calibrated(3, spent_s=5, budget_s=6)
    assert schedule.is_calibrated(4, spent_s=5, budget_s=6)
    assert not schedule.is_calibrated(4, spent_s=5, budget_s=600)
    assert schedule.is_calibrated(13, spent_s=5, budget_s=600)


def test_a_loss_that_is_no_number_ends_the_training_with_advice():
    assert _finite(0.5, 3) == 0.5
    with pytest.raises(BadInput, match="smaller learning rate"):
        _finite(float("nan"), 3)
