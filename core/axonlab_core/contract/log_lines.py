"""Events as lines of text: the same in the service's log, on the command line, in the card and on the page."""

from __future__ import annotations

from collections.abc import Iterable

from axonlab_core.contract.events import Event, EventBody, LogEvent, StateEvent, StepEvent, WarningEvent


def log_text(events: Iterable[Event]) -> str:
    """What the events say in words; progress and numbers have their own places and are left out."""
    text: list[str] = []
    for event in events:
        if isinstance(event.body, LogEvent):
            text.append(event.body.text)  # what was printed, in pieces that need not end with a line
        elif said := _said(event.body):
            begun = text and not text[-1].endswith("\n")
            text.append(f"{chr(10) if begun else ''}[{event.at:%Y-%m-%d %H:%M:%S}] {said}\n")
    return "".join(text)


def _said(body: EventBody) -> str:
    if isinstance(body, StateEvent):
        reason = f" ({body.reason})" if body.reason is not None else ""
        return f"{body.state}{reason}{_after_colon(body.message)}"
    if isinstance(body, StepEvent):
        took = f" after {body.duration_s:.1f} s" if body.duration_s is not None else ""
        return f"{body.name}: {body.status}{took}{_after_colon(body.message)}"
    return f"warning: {body.message}" if isinstance(body, WarningEvent) else ""


def _after_colon(message: str) -> str:
    return f": {message}" if message else ""
