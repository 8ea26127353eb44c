"""What a run may do: be claimed, live by its heartbeats, say what happens, and end in one of four ways.

Whether a call comes from the job's current run is decided in the transaction that carries it out. What becomes of
the job's state is left to `jobs`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import BadInput, Conflict, NotFound
from axonlab_core.contract.events import CheckpointEvent, EventsRequest
from axonlab_core.contract.jobs import Job, job_spec
from axonlab_core.contract.kinds import Kind, shortfalls
from axonlab_core.contract.runs import Claim, ClaimRequest, CompleteRequest, FailRequest, ReleaseRequest
from axonlab_core.contract.states import JobState, Reason, Trigger
from axonlab_core.contract.tickets import FileBlob
from axonlab_hub.access import RunCall, current_run, opened_run
from axonlab_hub.bundles import present_files, require_bundle
from axonlab_hub.checkpoints import drop_all, drop_old, note_checkpoint
from axonlab_hub.jobs import Jobs
from axonlab_hub.model_rows import model_row
from axonlab_hub.queueing import as_job
from axonlab_hub.settings import Settings
from axonlab_hub.store import Rows, Store
from axonlab_hub.tables import ArtifactRow, Base, RunRow
from axonlab_hub.waiting import QUEUE, job_topic

_NOT_A_RUNNERS_WORD = frozenset({Reason.done, Reason.too_many_attempts})


class Runs:
    """All that runs do. Every method blocks."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        settings: Settings,
        jobs: Jobs,
        *,
        ring: Callable[[str], None] = lambda _: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._storage = storage
        self._settings = settings
        self._jobs = jobs
        self._ring = ring
        self._clock = clock

    def claim(self, job_id: str, request: ClaimRequest) -> Claim:
        """The job for this runner, with the token of its run.

        Raises
        ------
        NotFound, Conflict
            If it is not queued, or needs more than this machine has.
        """
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._store.write() as rows:
            job = rows.job(job_id, lock=True)
            if job is None:
                raise NotFound(f"There is no job {job_id}.")
            if job.state != JobState.queued:
                raise Conflict(f"Job {job_id} is {job.state}, not queued.", remedy="Ask for the next one.")
            if short := shortfalls(Kind(job.kind), request.capabilities):
                raise Conflict(
                    f"{request.capabilities.name} cannot take a {job.kind} job: {'; '.join(short)}.",
                    remedy="Use a larger machine, or free what it lacks.",
                )
            attempt = job.attempt + 1
            self._jobs.move(
                rows,
                job,
                Trigger.claim,
                message="",
                attempt=attempt,
                started_at=job.started_at or now,
                event_message=f"Run {attempt} on {request.capabilities.name}.",
            )
            rows.add(
                RunRow(
                    job_id=job_id,
                    attempt=attempt,
                    runner=request.capabilities.name,
                    token_sha256=hashlib.sha256(token.encode()).hexdigest(),
                    claimed_at=now,
                    lease_expires_at=now + timedelta(seconds=self._settings.lease_s),
                )
            )
            spec = job_spec.validate_json(job.spec)
            owner = job.owner
        self._ring(job_topic(job_id))
        return Claim(
            job_id=job_id,
            attempt=attempt,
            token=token,
            lease_s=self._settings.lease_s,
            heartbeat_s=self._settings.heartbeat_s,
            owner=owner,
            spec=spec,
            wall_clock_s=spec.wall_clock_s,
        )

    def renew(self, call: RunCall) -> tuple[datetime, bool]:
        """Until when the claim now holds, and whether the run is to stop.

        A lease that ran out unnoticed (nobody swept) is renewed too: the run is still the job's current one.
        """
        now = self._clock()
        until = now + timedelta(seconds=self._settings.lease_s)
        with self._store.write() as rows:
            job, run = current_run(rows, call)
            rows.renew(call.job_id, call.attempt, until)
            rows.touch_runner(run.runner, now)
            return until, job.cancel_requested

    def wants_stop(self, call: RunCall) -> bool:
        """Whether the run is to stop; renews nothing."""
        with self._store.read() as rows:
            job, _ = current_run(rows, call, lock=False)
            return job.cancel_requested

    def take_events(self, call: RunCall, request: EventsRequest) -> None:
        """Append a run's events, those that were taken before left out.

        Raises
        ------
        Conflict
            If events before these are missing.
        """
        with self._store.write() as rows:
            _, run = current_run(rows, call)
            taken = run.events_taken
            if request.first > taken:
                raise Conflict(
                    f"Event {request.first} came, and event {taken} of this run has not.",
                    remedy=f"Send from event {taken} on.",
                )
            new = request.events[taken - request.first :]
            if not new:
                return
            rows.append(call.job_id, call.attempt, self._clock(), [body.model_dump_json() for body in new])
            rows.took(call.job_id, call.attempt, taken + len(new))
            for body in new:
                if isinstance(body, CheckpointEvent):
                    note_checkpoint(rows, call, body)
        self._ring(job_topic(call.job_id))
        if any(isinstance(body, CheckpointEvent) for body in new):
            drop_old(self._store, self._storage, call.job_id)

    def complete(self, call: RunCall, request: CompleteRequest) -> Job:
        """The job, succeeded. Accepted once; the same call again gives the same answer.

        Raises
        ------
        Conflict
            If a file of the bundle is missing in storage, or was announced otherwise.
        """
        with self._store.read() as rows:
            if (done := self._ended_by(rows, call, "complete")) is not None:
                return done
            job, _ = current_run(rows, call, lock=False)
            announced = rows.artifacts(call.job_id, call.attempt, listed=False)
        require_bundle(
            self._storage, call.job_id, call.attempt, kind=Kind(job.kind), files=request.files, announced=announced
        )
        model = model_row(self._storage, job, request.files)
        return self._end(
            call, "complete", Trigger.complete, reason=Reason.done, files=request.files, also=[model] if model else []
        )

    def fail(self, call: RunCall, request: FailRequest) -> Job:
        """The job: failed, cancelled, or queued again where the platform failed and attempts remain."""
        if request.reason in _NOT_A_RUNNERS_WORD:
            raise BadInput(f"A run cannot fail with the reason {request.reason}.", remedy="Use another reason.")
        with self._store.read() as rows:
            if (done := self._ended_by(rows, call, "fail")) is not None:
                return done
            current_run(rows, call, lock=False)
        files = present_files(self._storage, call.job_id, call.attempt, request.files)
        trigger = {Reason.cancelled_by_user: Trigger.stop, Reason.platform: Trigger.lose}.get(
            request.reason, Trigger.fail
        )
        return self._end(call, "fail", trigger, reason=request.reason, message=request.message, files=files)

    def release(self, call: RunCall, request: ReleaseRequest) -> Job:
        """The job, queued again at no cost."""
        return self._end(call, "release", Trigger.hand_back, message=request.message)

    def _end(
        self,
        call: RunCall,
        by: str,
        trigger: Trigger,
        *,
        reason: Reason | None = None,
        message: str = "",
        files: tuple[FileBlob, ...] = (),
        also: Sequence[Base] = (),
    ) -> Job:
        now = self._clock()
        with self._store.write() as rows:
            if (done := self._ended_by(rows, call, by)) is not None:
                return done
            job, run = current_run(rows, call)
            rows.end_run(call.job_id, call.attempt, at=now, by=by)
            for file in files:
                rows.put(
                    ArtifactRow(
                        job_id=call.job_id,
                        attempt=call.attempt,
                        path=file.path,
                        sha256=file.sha256,
                        size_bytes=file.size_bytes,
                        listed=True,
                    )
                )
            for row in also:
                rows.put(row)
            if trigger is Trigger.lose:
                self._jobs.lose(rows, job, f"Run {run.attempt} on {run.runner} was given up: {message}")
            elif trigger is Trigger.hand_back:
                self._jobs.hand_back(rows, job, message or f"Run {run.attempt} was handed back.")
            else:
                self._jobs.move(rows, job, trigger, reason=reason, message=message)
            answer = as_job(rows, job, now)
        self._ring(job_topic(call.job_id))
        self._ring(QUEUE)
        if answer.state.is_final:
            drop_all(self._store, self._storage, call.job_id)
        return answer

    def _ended_by(self, rows: Rows, call: RunCall, by: str) -> Job | None:
        """The job, if this run has already ended by that same call (its answer got lost on the way)."""
        run = opened_run(rows, call)
        job = rows.job(call.job_id)
        return as_job(rows, job, self._clock()) if job is not None and run.ended_by == by else None
