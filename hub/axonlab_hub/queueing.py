"""What people and runners are told about jobs: state, place in the queue, events, the next one to take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from axonlab_core.contract.events import Event, EventBody, EventsAnswer
from axonlab_core.contract.jobs import Job, job_spec
from axonlab_core.contract.kinds import Capabilities, Kind, shortfalls
from axonlab_core.contract.runs import NextAnswer
from axonlab_core.contract.states import JobState, Reason
from axonlab_hub.store import Rows
from axonlab_hub.tables import JobRow, RunnerRow

SEEN_RECENTLY = timedelta(minutes=1)
_NAMED = 3
_EVENTS_AT_ONCE = 500
_body = TypeAdapter[EventBody](EventBody)


def as_job(rows: Rows, row: JobRow, now: datetime) -> Job:
    """The job as its owner sees it."""
    queued = row.state == JobState.queued
    message = row.message
    if queued:
        missing = no_runner(row.kind, rows.runners_since(now - SEEN_RECENTLY))
        message = " ".join(part for part in (message, missing) if part)
    return Job(
        id=row.id,
        owner=row.owner,
        spec=job_spec.validate_json(row.spec),
        state=JobState(row.state),
        reason=Reason(row.reason) if row.reason else None,
        message=message,
        attempt=row.attempt,
        cancel_requested=row.cancel_requested,
        queue_position=rows.ahead(row) + 1 if queued else None,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def no_runner(kind: str, runners: Sequence[RunnerRow]) -> str:
    """Why no runner seen lately could take a job of that kind; empty if one could."""
    if not runners:
        return (
            "No runner has asked for work in the last minute, so the job waits. "
            "If it stays so, ask the operator to start one (axonlab runner)."
        )
    machines = [Capabilities.read_answer(runner.capabilities) for runner in runners]
    lacks = [(machine.name, shortfalls(Kind(kind), machine)) for machine in machines]
    if any(not short for _, short in lacks):
        return ""
    reasons = "; ".join(f"{name}: {', '.join(short)}" for name, short in lacks[:_NAMED])
    count = "The only runner" if len(lacks) == 1 else f"None of the {len(lacks)} runners"
    verb = "cannot take this job" if len(lacks) == 1 else "can take this job"
    return f"{count} seen in the last minute {verb}, so it waits ({reasons}). Ask the operator for a larger machine."


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
