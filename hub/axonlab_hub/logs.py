"""A job's log: its events in words, page by page."""

from __future__ import annotations

from typing import NamedTuple

from axonlab_core.contract.events import Event, LogEvent
from axonlab_core.contract.log_lines import log_text
from axonlab_hub.queueing import events_after
from axonlab_hub.store import Rows
from axonlab_hub.tables import JobRow

_PAGE_CHARACTERS = 2**18
_MAX_LOOKS = 20
"""So many times up to 500 events: numbers and progress say nothing here, and there may be many."""


class LogPage(NamedTuple):
    """Some text, the event after which the next page begins, and whether there is any more now."""

    text: str
    next_after: int
    more: bool


def log_page(rows: Rows, job: JobRow, after: int) -> LogPage:
    """The log after event number `after`: some hundred thousand characters of it."""
    events: list[Event] = []
    printed = 0
    for _ in range(_MAX_LOOKS):
        found = events_after(rows, job, after).events
        for event in found:
            events.append(event)
            after = event.n
            printed += len(event.body.text) if isinstance(event.body, LogEvent) else 0
            if printed >= _PAGE_CHARACTERS:
                return LogPage(text=log_text(events), next_after=after, more=after < job.last_event)
        if not found:
            break
    return LogPage(text=log_text(events), next_after=after, more=after < job.last_event)
