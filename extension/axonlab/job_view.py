"""What is known of a job from its events: the one account that card, HTML and command line show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from axonlab_core.contract.curve import Curves
from axonlab_core.contract.events import (
    Event,
    EventsAnswer,
    LogEvent,
    MetricEvent,
    ProgressEvent,
    StateEvent,
    StepEvent,
    WarningEvent,
)
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.log_lines import log_text
from axonlab_core.contract.states import JobState

_TAIL_LINES = 200
_LINE_CHARACTERS = 500
_WARNINGS = 5


class RunningLog:
    """The log as it grows: text that is to be added for some more events."""

    def __init__(self) -> None:
        self._open: Event | None = None  # the last piece of what was printed; the next one may go on in its line

    def more(self, events: Iterable[Event]) -> str:
        """What these events add to the log."""
        found = list(events)
        if not found:
            return ""
        before = [] if self._open is None else [self._open]
        text = log_text([*before, *found])[len(log_text(before)) :]
        for event in found:
            if isinstance(event.body, LogEvent):
                self._open = event
            elif isinstance(event.body, StateEvent | StepEvent | WarningEvent):
                self._open = None
        return text


@dataclass
class JobView:
    """A job as far as it has been heard of. Whoever feeds it from a thread keeps others from reading meanwhile."""

    job: Job
    after: int = 0
    """Number of the last event that was taken in."""
    step: str = ""
    """The step of the runner's lifecycle that goes on, or was the last."""
    progress: ProgressEvent | None = None
    curves: Curves = field(default_factory=Curves)
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=_WARNINGS))
    notice: str = ""
    """What hinders the watching, e.g. a service that is away."""
    _log: RunningLog = field(default_factory=RunningLog)
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    def feed(self, answer: EventsAnswer) -> None:
        """Take in an answer of the service."""
        for event in answer.events:
            self._take(event)
        self._print(self._log.more(answer.events))
        self.after = answer.next_after
        if answer.state != self.job.state:
            self.job = self.job.model_copy(update={"state": answer.state})

    @property
    def log_tail(self) -> str:
        """The last lines of the log; of a line that was printed over itself, what it said last."""
        return "\n".join(line.rstrip("\r").rpartition("\r")[2][:_LINE_CHARACTERS] for line in self._lines)

    def _take(self, event: Event) -> None:
        body = event.body
        match body:
            case StateEvent():
                self.step = ""
                if body.state == JobState.queued:
                    self.progress = None  # the next run counts from its checkpoint
                update = {"state": body.state, "reason": body.reason, "message": body.message}
                if body.state != JobState.queued:
                    update |= {"queue_position": None, "expected_start_s": None}
                self.job = self.job.model_copy(update=update)
            case StepEvent(status="started"):
                self.step, self.progress = body.name, None  # each counts for itself
            case ProgressEvent():
                self.progress = body
            case MetricEvent():
                self.curves.add(body)
            case WarningEvent():
                self.warnings.append(body.message)
            case _:
                return

    def _print(self, text: str) -> None:
        if not text:
            return
        first, *rest = text.split("\n")
        if self._lines:
            self._lines[-1] += first
        else:
            self._lines.append(first)
        self._lines.extend(rest)
