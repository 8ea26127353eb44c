"""The one progress renderer, as a terminal shows it."""

import io
from contextlib import redirect_stderr

from axonlab.progress import JobBar
from axonlab_core.contract.events import (
    CheckpointEvent,
    LogEvent,
    MetricEvent,
    ProgressEvent,
    StateEvent,
    StepEvent,
    WarningEvent,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_everything_a_person_wants_to_know_is_shown():
    with redirect_stderr(Terminal()) as terminal, JobBar("train 1234") as bar:
        bar.queued(3)
        bar.feed(StateEvent(state="running"))
        bar.feed(StepEvent(name="fetch_inputs", status="started"))
        bar.feed(MetricEvent(step=5, values={"loss": 0.3125, "val_dice_axon": 0.861}))
        bar.feed(ProgressEvent(done=5, total=40, remaining_s=65))
        bar.feed(WarningEvent(message="the pixel size is unknown"))
        bar.feed(LogEvent(stream="stdout", text="not shown"))
        bar.feed(CheckpointEvent(step=5))
        bar.feed(ProgressEvent(done=40, total=40, remaining_s=0))
        bar.feed(StateEvent(state="succeeded", reason="done"))
    shown = terminal.getvalue()
    for part in (
        "queued (2 before this one)",
        "running",
        "fetch inputs",
        "loss 0.312",
        "axon 0.86",
        "01:05 left",
        "Note: the pixel size is unknown",
        "40/40 steps",
        "succeeded (done)",
    ):
        assert part in shown, part
    assert "not shown" not in shown


def test_a_resumed_attempt_may_go_back():
    with redirect_stderr(Terminal()) as terminal, JobBar("train") as bar:
        bar.feed(ProgressEvent(done=30, total=40))
        bar.feed(StateEvent(state="queued"))
        bar.feed(ProgressEvent(done=20, total=40))
    assert "20/40" in terminal.getvalue()


def test_another_unit_is_another_scale():
    with redirect_stderr(Terminal()) as terminal, JobBar("infer") as bar:
        bar.feed(ProgressEvent(done=2, total=2, unit="images"))
        bar.feed(ProgressEvent(done=1, total=9, unit="tiles"))
    assert "1/9 tiles" in terminal.getvalue()


def test_per_cent_are_not_counted_twice():
    with redirect_stderr(Terminal()) as terminal, JobBar("infer") as bar:
        bar.feed(ProgressEvent(done=45, total=100, unit="%", message="rat2"))
    assert "infer: rat2:  45%|" in terminal.getvalue()
    assert "45/100" not in terminal.getvalue()
