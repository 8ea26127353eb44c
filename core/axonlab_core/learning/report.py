"""What a job notebook says while it works: events, displayed under a private MIME type."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from axonlab_core.contract.events import (
    EVENT_MIME,
    CheckpointEvent,
    MetricEvent,
    NotebookEvent,
    ProgressEvent,
    WarningEvent,
)

Report = Callable[[NotebookEvent], None]

_logger = logging.getLogger(__name__)


def display(event: NotebookEvent) -> None:
    """Display `event` in the notebook, where the runner sees it; outside a kernel it goes to the log."""
    from IPython import get_ipython  # noqa: PLC0415 (not needed where events go elsewhere)
    from IPython.display import display as show  # noqa: PLC0415 (as above)

    text = in_words(event)
    if get_ipython() is None:
        _logger.info("%s", text)
    else:
        show({EVENT_MIME: event.model_dump(mode="json"), "text/plain": text}, raw=True)


class Overheard:
    """Passes events on and keeps what is said in warnings."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.warnings: list[str] = []

    def __call__(self, event: NotebookEvent) -> None:
        if isinstance(event, WarningEvent):
            self.warnings.append(event.message)
        self._report(event)


def in_words(event: NotebookEvent) -> str:
    """One line that says what the event says."""
    match event:
        case ProgressEvent():
            left = "" if event.remaining_s is None else f", about {event.remaining_s:.0f} s left"
            return f"{event.done} of {event.total} {event.unit}{left}"
        case MetricEvent():
            values = ", ".join(f"{name} {value:.3f}" for name, value in event.values.items())
            return f"step {event.step}: {values}"
        case CheckpointEvent():
            return f"step {event.step}: saved as {event.file}"
        case WarningEvent():
            return f"Note: {event.message}"


class Progress:
    """Passes on how far the work is, at most once in a while, with an estimate of the time left."""

    def __init__(self, report: Report, unit: str, *, every_s: float = 1.0) -> None:
        self._report, self._unit, self._every_s = report, unit, every_s
        self._told_at: float | None = None

    def tell(self, done: int, total: int, *, remaining_s: float | None = None, message: str = "") -> None:
        """Say that `done` of `total` are done; the last one is always said."""
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= self._every_s or done == total:
            self._told_at = now
            left = None if remaining_s is None else round(max(0.0, remaining_s), 1)
            self._report(ProgressEvent(done=done, total=total, unit=self._unit, message=message, remaining_s=left))
