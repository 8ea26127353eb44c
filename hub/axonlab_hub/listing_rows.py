"""What can be asked of the rows about many jobs at once: lists, the queue, how long runs take, models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState
from axonlab_hub.tables import JobRow, ModelRow, RunRow

_OPEN = (JobState.queued, JobState.running)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs a list shows; what is empty or None does not matter."""

    owner: str | None = None
    course: str | None = None
    assignment: str | None = None
    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    before: JobRow | None = None
    """Those that are older than this one."""


class Waiting(NamedTuple):
    """A queued job."""

    id: str
    kind: str


class Busy(NamedTuple):
    """A run that has not ended."""

    runner: str
    kind: str
    claimed_at: datetime


class ListingRows:
    """The part of `Rows` that lists."""

    _session: Session

    def jobs(self, which: JobFilter, limit: int) -> Sequence[JobRow]:
        """The jobs that pass the filter, newest first."""
        query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)
        for column, wanted in (
            (JobRow.owner, which.owner),
            (JobRow.course, which.course),
            (JobRow.assignment, which.assignment),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if which.states:
            query = query.where(JobRow.state.in_(which.states))
        if which.kinds:
            query = query.where(JobRow.kind.in_(which.kinds))
        if which.before is not None:
            query = query.where(tuple_(JobRow.created_at, JobRow.id) < tuple_(which.before.created_at, which.before.id))
        return self._session.scalars(query).all()

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs are queued or running, by kind and state."""
        query = select(JobRow.kind, JobRow.state, func.count()).where(JobRow.state.in_(_OPEN))
        found = self._session.execute(query.group_by(JobRow.kind, JobRow.state)).all()
        return {(kind, state): count for kind, state, count in found}

    # -- the queue ---------------------------------------------------------------------------------------

    def queue(self, limit: int) -> Sequence[Waiting]:
        """The queued jobs, oldest first."""
        query = select(JobRow.id, JobRow.kind).where(JobRow.state == JobState.queued)
        found = self._session.execute(query.order_by(JobRow.created_at, JobRow.id).limit(limit)).all()
        return [Waiting(*row) for row in found]

    def busy(self) -> Sequence[Busy]:
        """The runs that have not ended."""
        query = select(RunRow.runner, JobRow.kind, RunRow.claimed_at).join(JobRow, JobRow.id == RunRow.job_id)
        return [Busy(*row) for row in self._session.execute(query.where(RunRow.ended_at.is_(None))).all()]

    def recent_durations_s(self, kind: str, count: int) -> list[float]:
        """How long the latest runs of that kind took that were carried through."""
        query = (
            select(RunRow.claimed_at, RunRow.ended_at)
            .join(JobRow, JobRow.id == RunRow.job_id)
            .where(RunRow.ended_by == "complete", JobRow.kind == kind)
            .order_by(RunRow.ended_at.desc())
            .limit(count)
        )
        found = self._session.execute(query).all()
        return [(ended - began).total_seconds() for began, ended in found if ended is not None]

    # -- models ------------------------------------------------------------------------------------------

    def models(self, owner: str, course: str | None, limit: int) -> list[tuple[JobRow, ModelRow]]:
        """The models of an owner's jobs, newest first."""
        query = select(JobRow, ModelRow).join(ModelRow, ModelRow.job_id == JobRow.id).where(JobRow.owner == owner)
        if course is not None:
            query = query.where(JobRow.course == course)
        query = query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)
        return [(job, model) for job, model in self._session.execute(query)]

    def model(self, job_id: str) -> ModelRow | None:
        """The model of a job."""
        return self._session.get(ModelRow, job_id)

    def without_model_row(self, limit: int) -> Sequence[JobRow]:
        """Succeeded train jobs about whose model nothing is noted yet."""
        query = select(JobRow).outerjoin(ModelRow, ModelRow.job_id == JobRow.id)
        query = query.where(JobRow.state == JobState.succeeded, JobRow.kind == Kind.train, ModelRow.job_id.is_(None))
        return self._session.scalars(query.limit(limit)).all()
