"""Who may touch which job: its people, and the one run that holds it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from axonlab_core.contract.errors import Fenced, NotAllowed, NotFound
from axonlab_core.contract.states import JobState
from axonlab_hub.auth import Person
from axonlab_hub.store import Rows
from axonlab_hub.tables import JobRow, RunRow


@dataclass(frozen=True)
class RunCall:
    """Which attempt at which job is calling, and the token that it brings."""

    job_id: str
    attempt: int
    token: str = field(repr=False)


def visible_job(rows: Rows, person: Person, job_id: str, *, lock: bool = False) -> JobRow:
    """The job, if this person may see it: its owner, or staff of its course.

    Raises
    ------
    NotFound
        Also if it is somebody else's.
    """
    job = rows.job(job_id, lock=lock)
    if job is None or not (job.owner == person.name or (job.course is not None and person.teaches(job.course))):
        raise NotFound(f"There is no job {job_id}.", remedy="Check the id; you see your own jobs only.")
    return job


def opened_run(rows: Rows, call: RunCall) -> RunRow:
    """The run that the token belongs to, over or not.

    Raises
    ------
    NotAllowed
        If there is no such run, or the token is another's.
    """
    run = rows.run(call.job_id, call.attempt)
    given = hashlib.sha256(call.token.encode()).hexdigest()
    if run is None or not hmac.compare_digest(given, run.token_sha256):
        raise NotAllowed("This token does not open this run.", remedy="Use the token that came with the claim.")
    return run


def current_run(rows: Rows, call: RunCall, *, lock: bool = True) -> tuple[JobRow, RunRow]:
    """The job and its run, if the caller is the job's current attempt.

    Raises
    ------
    NotAllowed
        If the token is not that run's.
    Fenced
        If the run is over.
    """
    job = rows.job(call.job_id, lock=lock)
    run = opened_run(rows, call)
    if job is None or job.attempt != call.attempt or job.state != JobState.running or run.ended_at is not None:
        raise Fenced(
            f"Run {call.attempt} is no longer the current run of job {call.job_id}.",
            remedy="Stop: the job is over, or another run has taken over.",
        )
    return job, run
