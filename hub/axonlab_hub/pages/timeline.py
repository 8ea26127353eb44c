"""What a page shows of a job's events: steps, progress, numbers, warnings and the end of the log.

Events are only ever added, so what has been read once is kept, for the jobs that were looked at last; each look
reads what is new.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from axonlab_core.contract.curve import Curves
from axonlab_core.contract.events import Event, MetricEvent, ProgressEvent, StateEvent, StepEvent, WarningEvent
from axonlab_core.contract.log_lines import log_text
from axonlab_hub.queueing import events_after
from axonlab_hub.store import Rows
from axonlab_hub.tables import JobRow

_MAX_LOG_CHARACTERS = 20_000
_MAX_WARNINGS = 50
_JOBS = 200


class Story(NamedTuple):
    """A timeline as it was at one moment."""

    after: int
    """Number of the last event that is in here."""
    steps: tuple[StepEvent, ...]
    """Of the current run, in their order."""
    progress: ProgressEvent | None
    warnings: tuple[str, ...]
    log: str
    log_cut: bool
    """Whether the log's beginning is left out."""
    curves: Curves


class Timeline:
    """One job's events, condensed as they come."""

    def __init__(self) -> None:
        self.after = 0
        self.lock = threading.Lock()
        """Held by whoever adds to it."""
        self._attempt = 0
        self._steps: dict[str, StepEvent] = {}
        self._progress: ProgressEvent | None = None
        self._warnings: deque[str] = deque(maxlen=_MAX_WARNINGS)
        self._log = ""
        self._log_cut = False
        self._curves = Curves()

    def take(self, events: Iterable[Event]) -> None:
        """Add the events that follow."""
        new = list(events)
        for event in new:
            self.after = event.n
            if event.attempt > self._attempt:
                # A new run: its steps and its progress begin anew; numbers of steps done again replace the old ones.
                self._attempt, self._steps, self._progress = event.attempt, {}, None
            self._take(event)
        said = log_text(new)
        begun = self._log and not self._log.endswith("\n") and said.startswith("[")
        log = f"{self._log}{chr(10) if begun else ''}{said}"
        if len(log) > _MAX_LOG_CHARACTERS:
            log, self._log_cut = log[-_MAX_LOG_CHARACTERS:].partition("\n")[2], True
        self._log = log

    def story(self) -> Story:
        """All of it, as it is now."""
        return Story(
            after=self.after,
            steps=tuple(self._steps.values()),
            progress=self._progress,
            warnings=tuple(self._warnings),
            log=self._log,
            log_cut=self._log_cut,
            curves=self._curves.copy(),
        )

    def _take(self, event: Event) -> None:
        match event.body:
            case StepEvent() as step:
                self._steps[step.name] = step
            case ProgressEvent() as progress:
                self._progress = progress
            case WarningEvent() as warning:
                if warning.message not in self._warnings:
                    self._warnings.append(warning.message)
            case MetricEvent() as metric:
                self._curves.add(metric)
            case StateEvent() as state if state.state.is_final and self._progress is not None:
                self._progress = self._progress.model_copy(update={"remaining_s": None})
            case _:
                pass


class Timelines:
    """The timelines of the jobs that were looked at last. Every method blocks."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Timeline] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, rows: Rows, job: JobRow) -> Story:
        """A job's timeline, with everything that has happened until now."""
        timeline = self._kept_for(job.id)
        with timeline.lock:
            while events := events_after(rows, job, timeline.after).events:
                timeline.take(events)
            return timeline.story()

    def _kept_for(self, job_id: str) -> Timeline:
        with self._lock:
            timeline = self._kept.setdefault(job_id, Timeline())
            self._kept.move_to_end(job_id)
            while len(self._kept) > _JOBS:
                self._kept.popitem(last=False)
            return timeline
