"""Events in words."""

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.events import Event, LogEvent, MetricEvent, StateEvent, StepEvent, WarningEvent
from axonlab_core.contract.log_lines import log_text
from axonlab_core.contract.states import JobState, Reason


def said(*bodies):
    at = utc_now()
    text = log_text(Event(n=n, at=at, attempt=1, body=body) for n, body in enumerate(bodies, start=1))
    return text.replace(f"[{at:%Y-%m-%d %H:%M:%S}] ", "> ")


def test_what_was_printed_stays_as_it_was_and_the_rest_has_lines_of_its_own():
    assert said(
        StateEvent(state=JobState.running, message="Run 1 on here."),
        LogEvent(stream="stdout", text="half a "),
        LogEvent(stream="stdout", text="line"),
        WarningEvent(message="no pixel size"),
        MetricEvent(step=1, values={"loss": 0.5}),
        LogEvent(stream="stderr", text="a whole one\n"),
        StepEvent(name="upload", status="failed", duration_s=2.04, message="no room"),
        StateEvent(state=JobState.failed, reason=Reason.platform),
    ) == (
        "> running: Run 1 on here.\nhalf a line\n> warning: no pixel size\na whole one\n"
        "> upload: failed after 2.0 s: no room\n> failed (platform)\n"
    )
    assert said() == ""
