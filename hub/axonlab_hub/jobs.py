"""The life of a job. State changes here and nowhere else, by the contract's transition table.

Every change is decided within one transaction on a locked row and appended to the job's events, so whoever
reads the stream sees every state once and in order. Storage is only asked outside of transactions.
"""

from __future__ import annotations

import logging
import secrets
import string
from collections.abc import Callable
from datetime import datetime
from typing import Any

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import Conflict, LimitReached, NotAllowed
from axonlab_core.contract.events import StateEvent
from axonlab_core.contract.jobs import InferSpec, Job, ResubmitRequest, SubmitRequest, TrainSpec, job_spec
from axonlab_core.contract.states import JobState, Reason, Trigger, next_state
from axonlab_hub.access import visible_job
from axonlab_hub.admission import admit, placed
from axonlab_hub.auth import Person
from axonlab_hub.checkpoints import drop_all
from axonlab_hub.model_rows import note_missing_models
from axonlab_hub.queueing import as_job
from axonlab_hub.settings import Settings
from axonlab_hub.store import Duplicate, Rows, Store
from axonlab_hub.tables import JobRow, RunRow
from axonlab_hub.waiting import QUEUE, job_topic

logger = logging.getLogger(__name__)

_ALPHABET = string.digits + string.ascii_lowercase
_ID_CHARACTERS = 20
_LEASE = "lease"


class Jobs:
    """All that happens to jobs. Every method blocks."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        settings: Settings,
        *,
        ring: Callable[[str], None] = lambda _: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._storage = storage
        self._settings = settings
        self._ring = ring
        self._clock = clock

    # -- what people do ----------------------------------------------------------------------------------

    def submit(self, person: Person, request: SubmitRequest) -> tuple[Job, bool]:
        """The job, and whether it is new.

        Raises
        ------
        UserError
            If it cannot be admitted.
        """
        return self._enter(person, request.spec, request.idempotency_key)

    def resubmit(self, person: Person, job_id: str, request: ResubmitRequest) -> tuple[Job, bool]:
        """A new job that asks for the same as one that is over, and whether it is new.

        Raises
        ------
        Conflict
            If that job is not over.
        """
        with self._store.read() as rows:
            job = visible_job(rows, person, job_id)
        if job.owner != person.name:
            raise NotAllowed(f"Job {job_id} belongs to {job.owner}.", remedy="Only its owner can submit it again.")
        if not JobState(job.state).is_final:
            raise Conflict(f"Job {job_id} is {job.state}.", remedy="Wait until it is over, or cancel it first.")
        return self._enter(person, job_spec.validate_json(job.spec), request.idempotency_key, origin=job_id)

    def _enter(
        self, person: Person, asked: TrainSpec | InferSpec, key: str | None, *, origin: str | None = None
    ) -> tuple[Job, bool]:
        if (known := self._known(person, asked, key, origin)) is not None:
            return known, False
        spec = placed(asked, person)
        admit(spec, person, self._store, self._storage)
        now = self._clock()
        row = JobRow(
            id="".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARACTERS)),
            owner=person.name,
            course=spec.course,
            assignment=spec.assignment,
            kind=spec.kind,
            spec=spec.model_dump_json(),
            idempotency_key=key,
            resubmitted_from=origin,
            state=JobState.queued,
            created_at=now,
        )
        try:
            with self._store.write() as rows:
                self._check_limit(rows, person.name)
                rows.add(row)
                self._note(rows, row, JobState.queued, None, "")
                job = as_job(rows, row, now)
        except Duplicate:
            known = self._known(person, asked, key, origin)
            if known is None:
                raise
            return known, False
        self._ring(QUEUE)
        return job, True

    def cancel(self, person: Person, job_id: str) -> Job:
        """The job: cancelled if it was queued, asked to stop if it runs, as it was if it is over."""
        with self._store.write() as rows:
            job = visible_job(rows, person, job_id, lock=True)
            if job.owner != person.name:
                raise NotAllowed(f"Job {job_id} belongs to {job.owner}.", remedy="Only its owner can cancel it.")
            if job.state == JobState.queued:
                self.move(rows, job, Trigger.cancel, reason=Reason.cancelled_by_user, message="Cancelled by its owner.")
            elif job.state == JobState.running and not job.cancel_requested:
                self._change(rows, job, cancel_requested=True, message="Asked to stop by its owner.")
            answer = as_job(rows, job, self._clock())
        self._ring(job_topic(job_id))
        return answer

    # -- what time does ----------------------------------------------------------------------------------

    def sweep(self) -> int:
        """How many runs were given up because their lease ran out; also puts finished jobs' things in order."""
        with self._store.read() as rows:
            lapsed = rows.lapsed(self._clock())
        given_up = sum(self._give_up(run) for run in lapsed)
        with self._store.read() as rows:
            finished = rows.final_with_checkpoints()
        for job_id in finished:
            drop_all(self._store, self._storage, job_id)
        note_missing_models(self._store, self._storage)
        return given_up

    def _give_up(self, seen: RunRow) -> bool:
        now = self._clock()
        with self._store.write() as rows:
            job = rows.job(seen.job_id, lock=True)
            run = rows.run(seen.job_id, seen.attempt)
            if job is None or run is None or run.ended_at is not None or run.lease_expires_at >= now:
                return False
            logger.warning("job %s: run %d on %s was lost", job.id, run.attempt, run.runner)
            rows.end_run(job.id, run.attempt, at=now, by=_LEASE)
            if job.state == JobState.running and job.attempt == run.attempt:
                self.lose(rows, job, f"Run {run.attempt} on {run.runner} was lost: no sign of life.")
        self._ring(job_topic(seen.job_id))
        self._ring(QUEUE)
        return True

    # -- what may happen to a job, within the caller's transaction -----------------------------------------

    def lose(self, rows: Rows, job: JobRow, message: str) -> None:
        lost = job.lost_runs + 1
        if job.cancel_requested:
            self.move(rows, job, Trigger.stop, reason=Reason.cancelled_by_user, message=message, lost_runs=lost)
        elif lost >= self._settings.max_attempts:
            said = (
                f"{lost} runs of this job were lost, the last one so: {message} "
                "Ask the operator to look at the runner's log, then submit it again."
            )
            self.move(rows, job, Trigger.give_up, reason=Reason.too_many_attempts, message=said, lost_runs=lost)
        else:
            self.move(
                rows, job, Trigger.lose, message=f"{message} The job waits for run {job.attempt + 1}.", lost_runs=lost
            )

    def hand_back(self, rows: Rows, job: JobRow, message: str) -> None:
        count = job.hand_backs + 1
        if job.cancel_requested:
            self.move(rows, job, Trigger.stop, reason=Reason.cancelled_by_user, message=message, hand_backs=count)
        elif count > self._settings.max_hand_backs:
            said = f"The job was handed back {count} times, the last time so: {message}"
            self.move(rows, job, Trigger.give_up, reason=Reason.too_many_attempts, message=said, hand_backs=count)
        else:
            self.move(rows, job, Trigger.hand_back, message=message, hand_backs=count)

    def move(
        self,
        rows: Rows,
        job: JobRow,
        trigger: Trigger,
        *,
        message: str,
        reason: Reason | None = None,
        event_message: str | None = None,
        **values: Any,
    ) -> None:
        """Change the state by the table, and say so in the events."""
        state = next_state(JobState(job.state), trigger)
        if state.is_final:
            values["finished_at"] = self._clock()
        self._change(rows, job, state=state, reason=reason, message=message, **values)
        self._note(rows, job, state, reason, message if event_message is None else event_message)

    def _change(self, rows: Rows, job: JobRow, **values: Any) -> None:
        if not rows.change(job, **values):
            raise Conflict(f"Job {job.id} has just changed.", remedy="Look at it again.")

    def _note(self, rows: Rows, job: JobRow, state: JobState, reason: Reason | None, message: str) -> None:
        body = StateEvent(state=state, reason=reason, message=message).model_dump_json()
        rows.append(job.id, job.attempt, self._clock(), [body])

    def _known(self, person: Person, asked: TrainSpec | InferSpec, key: str | None, origin: str | None) -> Job | None:
        if key is None:
            return None
        with self._store.read() as rows:
            row = rows.job_by_key(person.name, key)
            if row is None:
                return None
            stored = job_spec.validate_json(row.spec)
            if asked.course is None:  # the service may have chosen one
                stored = stored.model_copy(update={"course": None})
            if stored != asked or row.resubmitted_from != origin:
                raise Conflict(
                    f"The idempotency key was used for job {row.id}, which asks for something else.",
                    remedy="Use a new key for a new job.",
                )
            return as_job(rows, row, self._clock())

    def _check_limit(self, rows: Rows, owner: str) -> None:
        limit = self._settings.max_unfinished_jobs
        if (count := rows.unfinished(owner)) >= limit:
            raise LimitReached(
                f"{owner} has {count} unfinished jobs, and {limit} is the most at a time.",
                remedy="Wait for some to finish, or cancel them.",
            )
