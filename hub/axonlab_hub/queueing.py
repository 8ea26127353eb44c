"""What people and runners are told about jobs: state, place in the queue, events, the next one to take."""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter

from axonlab_core.contract.events import Event, EventBody, EventsAnswer
from axonlab_core.contract.jobs import Job, job_spec
from axonlab_core.contract.kinds import Capabilities, Kind, shortfalls
from axonlab_core.contract.runs import NextAnswer
from axonlab_core.contract.states import JobState, Reason
from axonlab_hub.forecast import Forecast
from axonlab_hub.store import Rows
from axonlab_hub.tables import JobRow, RunnerRow

_EVENTS_AT_ONCE = 500
_body = TypeAdapter[EventBody](EventBody)


def as_job(rows: Rows, row: JobRow, now: datetime, forecast: Forecast | None = None) -> Job:
    """The job as its owner sees it; a list gives all of its jobs the same forecast."""
    message, position, start_s = row.message, None, None
    if row.state == JobState.queued:
        forecast = forecast or Forecast(rows, now)
        message = " ".join(part for part in (message, forecast.why_nobody(row.kind)) if part)
        position = rows.ahead(row) + 1
        start_s = forecast.start_s(row.id)
    return Job(
        id=row.id,
        owner=row.owner,
        spec=job_spec.validate_json(row.spec),
        state=JobState(row.state),
        reason=Reason(row.reason) if row.reason else None,
        message=message,
        attempt=row.attempt,
        cancel_requested=row.cancel_requested,
        queue_position=position,
        expected_start_s=start_s,
        resubmitted_from=row.resubmitted_from,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def servable(machine: Capabilities) -> tuple[Kind, ...]:
    """The kinds of job that a machine can take."""
    return tuple(kind for kind in machine.kinds if not shortfalls(kind, machine))


def note_runner(rows: Rows, machine: Capabilities, now: datetime) -> None:
    """Remember that this runner is there and what it has."""
    rows.put(RunnerRow(name=machine.name, capabilities=machine.model_dump_json(), seen_at=now))


def next_job(rows: Rows, machine: Capabilities) -> NextAnswer:
    """The job that has waited longest among those that the machine can take."""
    kinds = servable(machine)
    job = rows.oldest_queued(kinds) if kinds else None
    return NextAnswer() if job is None else NextAnswer(job_id=job.id, kind=Kind(job.kind))


def events_after(rows: Rows, job: JobRow, after: int) -> EventsAnswer:
    """The events that follow number `after`, at most 500 of them."""
    found = rows.events(job.id, after, _EVENTS_AT_ONCE)
    events = tuple(Event(n=row.n, at=row.at, attempt=row.attempt, body=_body.validate_json(row.body)) for row in found)
    return EventsAnswer(events=events, next_after=events[-1].n if events else after, state=JobState(job.state))
