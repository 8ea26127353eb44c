"""A training that was stopped, however and wherever, gives the same weights as one that was left alone."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, sampled_from
from safetensors.torch import load_file

from axonlab_core.contract.events import CheckpointEvent, MetricEvent
from axonlab_core.learning.stopping import Interrupted
from axonlab_core.learning.train import train

STEPS = 12
OPTIONS = {"steps": STEPS, "batch": 2, "tile_px": 48, "threads": 1}
SAME_WORKSPACE = [HealthCheck.function_scoped_fixture]
CHILD = f"""
import sys
from axonlab_core.learning.train import train
def say(event):
    if event.type == "checkpoint":
        print(event.step, flush=True)
        sys.stdin.readline()
train(sys.argv[1], report=say, checkpoint_every_s=1e-3, **{OPTIONS!r})
"""


@pytest.fixture
def fresh(make_workspace, two_animals, tmp_path):
    """A function that lays out the same workspace anew."""
    whole = make_workspace(two_animals, root=tmp_path / "whole")

    def lay_out():
        shutil.rmtree(tmp_path / "halting", ignore_errors=True)
        shutil.copytree(whole / "inputs", tmp_path / "halting" / "inputs")
        return tmp_path / "halting"

    lay_out.whole = whole
    return lay_out


class Outcome:
    """What a training has left."""

    def __init__(self, workspace):
        model = workspace / "results" / "model"
        self.weights = load_file(model / "model.safetensors")
        self.curve = (model / "curves.csv").read_text()

    def same_as(self, other):
        assert self.weights.keys() == other.weights.keys()
        equal = all(torch.equal(value, other.weights[key]) for key, value in self.weights.items())
        return equal and self.curve == other.curve


@pytest.fixture
def left_alone(fresh):
    train(fresh.whole, report=[].append, **OPTIONS)
    return Outcome(fresh.whole)


def stopping_at(step, number, events):
    """A report that sends the process a signal, as a runner does, when it hears of that step."""

    def report(event):
        events.append(event)
        if isinstance(event, MetricEvent) and event.step == step:
            os.kill(os.getpid(), number)

    return report


@settings(max_examples=4, deadline=None, suppress_health_check=SAME_WORKSPACE)
@given(
    stops=lists(integers(1, STEPS // 5).map(lambda n: 5 * n), max_size=2, unique=True).map(sorted),
    number=sampled_from([signal.SIGINT, signal.SIGTERM]),
)
def test_stopped_between_steps(fresh, left_alone, stops, number):
    workspace = fresh()
    for step in stops:
        events = []
        with pytest.raises(Interrupted):
            train(workspace, report=stopping_at(step, number, events), **OPTIONS)
        assert isinstance(events[-1], CheckpointEvent)
        assert events[-1].step < STEPS
        assert not (workspace / "results").exists()
    train(workspace, report=[].append, **OPTIONS)
    assert Outcome(workspace).same_as(left_alone)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@settings(max_examples=2, deadline=None, suppress_health_check=SAME_WORKSPACE)
@given(step=integers(1, STEPS - 2))
def test_another_process_that_was_killed(fresh, left_alone, number, step):
    workspace = fresh()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with child:
        while int(child.stdout.readline()) < step:
            child.stdin.write("go on\n")
            child.stdin.flush()
        child.send_signal(number)
        child.stdin.close()
        child.stdout.read()
    assert child.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 1)
    assert not (workspace / "results").exists()
    train(workspace, report=[].append, **OPTIONS)
    assert Outcome(workspace).same_as(left_alone)


def test_handlers_are_put_back(fresh):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(fresh(), report=[].append, **{**OPTIONS, "steps": 1})
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
