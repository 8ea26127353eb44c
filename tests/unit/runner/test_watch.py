"""The watch over a run, with a run whose answers the test decides."""

import threading
from types import SimpleNamespace

import pytest

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import Fenced, Unavailable
from axonlab_core.contract.events import CheckpointEvent, LogEvent, MetricEvent, ProgressEvent
from axonlab_core.contract.runs import HeartbeatAnswer
from axonlab_runner.reporter import Reporter
from axonlab_runner.watch import Stop, Stopped, Watch


class ScriptedRun:
    def __init__(self, *answers, wall_clock_s=60.0):
        self.claim = SimpleNamespace(job_id="j", attempt=1, heartbeat_s=0.01, wall_clock_s=wall_clock_s)
        self.answers = list(answers)
        self.sent = []
        self.refusals = 0

    def heartbeat(self, wait_s):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return HeartbeatAnswer(lease_expires_at=utc_now(), cancel=answer)

    def send_events(self, first, events):
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("away")
        self.sent.append((first, list(events)))


def heard(watch):
    arrived = threading.Event()
    stops = []
    watch.listen(lambda stop: (stops.append(stop), arrived.set()))
    assert arrived.wait(10)
    return stops


@pytest.mark.parametrize(
    ("answers", "stop"),
    [
        ((False, False, True), Stop.cancelled),
        ((False, Fenced("older")), Stop.fenced),
        ((Unavailable("away"), Unavailable("away"), True), Stop.cancelled),
    ],
)
def test_the_heartbeat_tells_when_to_stop(answers, stop):
    with Watch(ScriptedRun(*answers)) as watch:
        assert heard(watch)[0] is stop
        with pytest.raises(Stopped):
            watch.check()


def test_a_lost_claim_overrules_a_cancel():
    with Watch(ScriptedRun(False, True, Fenced("older"))) as watch:
        done = threading.Event()
        watch.listen(lambda stop: done.set() if stop is Stop.fenced else None)
        assert done.wait(10)
        assert watch.stop is Stop.fenced


def test_the_first_reason_stays():
    watch = Watch(ScriptedRun(False))
    watch.ask(Stop.shutdown)
    watch.ask(Stop.cancelled)
    assert watch.stop is Stop.shutdown
    assert heard(watch) == [Stop.shutdown], "who comes late is told at once"


def test_the_wall_clock_is_seen_between_steps():
    with pytest.raises(Stopped) as stopped:
        Watch(ScriptedRun(False, wall_clock_s=1e-9)).check()
    assert stopped.value.stop is Stop.timeout


def test_events_arrive_in_order_numbered_without_gaps():
    run = ScriptedRun(False)
    with Reporter(run) as reporter:
        for n in range(250):
            reporter.event(MetricEvent(step=n, values={"loss": 1.0}))
    numbers = [first + i for first, batch in run.sent for i in range(len(batch))]
    assert numbers == list(range(250))
    assert [event.step for _, batch in run.sent for event in batch] == list(range(250))


def test_of_progress_in_a_row_the_last_counts():
    run = ScriptedRun(False)
    reporter = Reporter(run)
    for n in range(50):
        reporter.event(ProgressEvent(done=n, total=50))
    with reporter:
        pass
    events = [event for _, batch in run.sent for event in batch]
    assert events[-1].done == 49
    assert len(events) < 50


def test_after_a_silence_the_first_event_goes_out_at_once_and_the_next_are_gathered(monkeypatch):
    monkeypatch.setattr("axonlab_runner.reporter._GATHER_S", 60.0)
    run = ScriptedRun(False)
    arrived = threading.Event()
    send = run.send_events

    def watched(first, events):
        send(first, events)
        arrived.set()

    run.send_events = watched
    with Reporter(run) as reporter:
        reporter.event(MetricEvent(step=0, values={}))
        assert arrived.wait(20)
        reporter.event(MetricEvent(step=1, values={}))
        reporter.event(MetricEvent(step=2, values={}))
    assert [[event.step for event in batch] for _, batch in run.sent] == [[0], [1, 2]]


def test_what_could_not_be_delivered_leaves_no_gap():
    run = ScriptedRun(False)
    run.refusals = 1
    refused = threading.Event()
    send = run.send_events

    def watched(first, events):
        try:
            send(first, events)
        finally:
            refused.set()

    run.send_events = watched
    with Reporter(run) as reporter:
        reporter.event(MetricEvent(step=0, values={}))
        assert refused.wait(10)
        reporter.event(MetricEvent(step=1, values={}))
    assert [(first, [event.step for event in batch]) for first, batch in run.sent] == [(0, [1])]


def test_a_checkpoint_is_told_of_even_if_its_batch_is_refused():
    run = ScriptedRun(False)
    run.refusals = 1
    reporter = Reporter(run)
    reporter.log("stdout", "too much")
    reporter.event(CheckpointEvent(step=5, sha256="0" * 64, size_bytes=1))
    with reporter:
        pass
    assert [(first, [type(event) for event in batch]) for first, batch in run.sent] == [(0, [CheckpointEvent])]


def test_batches_stay_small_and_odd_text_passes():
    run = ScriptedRun(False)
    with Reporter(run) as reporter:
        for _ in range(40):
            reporter.log("stdout", "\u2588" * 20_000)
        reporter.log("stdout", "half a pair: \ud800")
    for _, batch in run.sent:
        assert sum(len(event.model_dump_json()) for event in batch) < 2_000_000
    assert run.sent[-1][1][-1].text == "half a pair: ?"


def test_a_log_without_end_is_cut_once():
    run = ScriptedRun(False)
    with Reporter(run) as reporter:
        for _ in range(120):
            reporter.log("stdout", "x" * 10_000)
    texts = [event.text for _, batch in run.sent for event in batch if isinstance(event, LogEvent)]
    assert sum(map(len, texts)) < 1_100_000
    assert sum("the log stops here" in text for text in texts) == 1
