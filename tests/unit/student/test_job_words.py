"""The parts of which card and commands are made, where the service need not be asked."""

from datetime import timedelta

import pytest

from axonlab.job_view import JobView, RunningLog
from axonlab.job_words import duration_words, job_lines, queue_words, state_words
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.curve import Curves
from axonlab_core.contract.events import (
    Event,
    EventsAnswer,
    LogEvent,
    MetricEvent,
    ProgressEvent,
    StateEvent,
    StepEvent,
)
from axonlab_core.contract.jobs import Job, TrainSpec
from axonlab_core.contract.log_lines import log_text


def a_job(state="queued", **fields):
    spec = TrainSpec(dataset="0" * 64, minutes=2)
    return Job(id="0123456789", owner="ana", spec=spec, state=state, created_at=utc_now(), **fields)


def events(*bodies):
    return tuple(Event(n=n, at=utc_now(), attempt=1, body=body) for n, body in enumerate(bodies, start=1))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3600, "1 h 0 min"), (-3, "0 s")]
)
def test_durations(seconds, words):
    assert duration_words(seconds) == words


def test_states_in_words():
    assert state_words(a_job()) == "queued"
    assert state_words(a_job(queue_position=3, expected_start_s=65)) == (
        "queued (2 before this one, expected to start in about 1 min 5 s)"
    )
    assert queue_words(1) == "next"
    assert state_words(a_job("running", cancel_requested=True)) == "stopping"
    assert state_words(a_job("succeeded", reason="done")) == "succeeded"
    begun = utc_now()
    over = a_job("failed", reason="timeout", started_at=begun, finished_at=begun + timedelta(seconds=70))
    lines = dict(job_lines(over))
    assert lines["state"] == "failed (timeout)"
    assert lines["took"] == "1 min 10 s"
    assert "wall_clock_minutes" in lines["what to do"]
    assert "name" not in lines


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_log_read_in_pieces_is_the_whole_log(size):
    found = events(
        StateEvent(state="running"),
        LogEvent(stream="stdout", text="half "),
        ProgressEvent(done=1, total=2),
        LogEvent(stream="stdout", text="a line\nno end"),
        MetricEvent(step=1, values={"loss": 1.0}),
        StepEvent(name="execute", status="done", duration_s=1.0),
        LogEvent(stream="stderr", text="no end"),
        StateEvent(state="failed", reason="timeout"),
    )
    log = RunningLog()
    assert "".join(log.more(found[n : n + size]) for n in range(0, len(found), size)) == log_text(found)


def test_of_a_line_that_is_printed_over_itself_the_last_is_kept():
    view = JobView(a_job("running"))
    bodies = [LogEvent(stream="stderr", text="10 %\r20 %\r"), LogEvent(stream="stderr", text="30 %\nnext\n")]
    bodies += [LogEvent(stream="stdout", text="x\n" * 500)]
    for n, event in enumerate(events(*bodies)):
        view.feed(EventsAnswer(events=(event,), next_after=n + 1, state="running"))
        if n == 1:
            assert view.log_tail == "30 %\nnext\n"
    assert view.log_tail.count("\n") == 199


def test_a_resumed_run_replaces_what_it_repeats():
    curves = Curves()
    for value in (0.5, 0.4):
        curves.add(MetricEvent(step=10, values={"loss": value}))
    assert curves.points("loss") == [(10, 0.4)]
