import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from axonlab_core.contract.errors import BadInput
from axonlab_core.learning import schedule
from axonlab_core.learning.fit import _finite
from axonlab_core.learning.schedule import Plan


def rates(plan):
    return [schedule.rate_share(step, plan) for step in range(plan.steps)]


def test_the_learning_rate_rises_then_falls():
    found = rates(Plan(steps=200))
    peak = found.index(max(found))
    assert found[:peak] == sorted(found[:peak])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert max(found) > 0.95
    assert found[0] < 0.1
    assert found[-1] < 0.02


def test_while_there_is_no_plan_the_warm_up_goes_on():
    early = [schedule.rate_share(step, None) for step in range(13)]
    later = Plan(steps=500, since=13)
    assert early == [schedule.rate_share(step, later) for step in range(13)]
    assert schedule.rate_share(13, later) > early[-1]


@pytest.mark.parametrize("steps", [1, 5, 8, 9, 333])
@pytest.mark.parametrize("validations", [1, 3, 8])
def test_it_validates_so_many_times_and_at_the_end(steps, validations):
    plan = Plan(steps=steps, validations=validations)
    found = [step for step in range(1, steps + 1) if schedule.is_validation(step, plan)]
    assert len(found) == min(validations, steps)
    assert found[-1] == steps


def test_the_steps_fit_into_the_budget():
    plan = schedule.first_plan(120, step=13, spent_s=10, step_s=0.5, validation_s=1)
    took_s = 10 + (plan.steps - 13) * 0.5 + plan.validations * 1
    assert 110 < took_s <= 120
    assert plan.way(13) == 0


def test_slow_validations_are_few():
    plan = schedule.first_plan(60, step=13, spent_s=10, step_s=0.5, validation_s=1.5)
    assert plan.validations == 2
    assert schedule.first_plan(6, step=13, spent_s=3, step_s=0.1, validation_s=2).validations == 1


def test_a_budget_that_is_used_up_still_ends():
    assert schedule.first_plan(1, step=4, spent_s=10, step_s=3, validation_s=1).steps == 5


@given(
    steps=integers(2, 5000),
    at=floats(0, 0.999),
    share=floats(0.001, 0.999),
    again=floats(0.001, 0.999),
)
def test_a_shortened_training_goes_on_where_it_is_and_still_comes_down(steps, at, share, again):
    plan = Plan(steps=steps)
    for cut in (share, again):
        step = int(plan.since + at * (plan.steps - plan.since))
        shorter = plan.shortened(step, step + max(1, int(cut * (plan.steps - step))))
        assert shorter.way(step) == pytest.approx(plan.way(step))
        assert shorter.way(shorter.steps) == 1
        ways = [shorter.way(s) for s in range(step, shorter.steps + 1)]
        assert ways == sorted(ways)
        assert schedule.is_validation(shorter.steps, shorter)
        plan = shorter


def test_a_plan_that_is_in_time_stays():
    plan = Plan(steps=1000)
    kept = schedule.plan_in_time(plan, 100, step=200, spent_s=20, step_s=0.1, validation_s=0.1)
    assert kept is plan


def test_on_a_slower_machine_there_are_fewer_steps():
    plan = schedule.plan_in_time(Plan(steps=1000), 100, step=200, spent_s=20, step_s=0.3, validation_s=0.5)
    assert 20 + (plan.steps - 200) * 0.3 + 7 * 0.5 <= 100
    assert plan.steps > 420


def test_when_all_time_is_gone_the_rate_still_comes_down():
    late = schedule.plan_in_time(Plan(steps=1000), 100, step=400, spent_s=200, step_s=1, validation_s=1)
    assert late.steps == 412
    assert schedule.rate_share(411, late) < 0.02
    assert schedule.plan_in_time(late, 100, step=405, spent_s=205, step_s=1, validation_s=1) is late


def test_it_is_calibrated_early_when_the_budget_is_small():
    assert not schedule.is_calibrated(3, spent_s=5, budget_s=6)
    assert schedule.is_calibrated(4, spent_s=5, budget_s=6)
    assert not schedule.is_calibrated(4, spent_s=5, budget_s=600)
    assert schedule.is_calibrated(13, spent_s=5, budget_s=600)


def test_a_loss_that_is_no_number_ends_the_training_with_advice():
    assert _finite(0.5, 3) == 0.5
    with pytest.raises(BadInput, match="smaller learning rate"):
        _finite(float("nan"), 3)
