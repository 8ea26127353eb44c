"""The rows in the database, read and written in short transactions.

What changes a job is a compare-and-set: the update names the state and the attempt that it was decided on,
and its row count says whether it took effect. That holds on every database; SQLite adds that a writing
transaction begins with its lock, so that two of them wait for one another instead of failing half-way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    create_engine,
    event,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from axonlab_core.contract.errors import Unavailable
from axonlab_core.contract.states import JobState
from axonlab_hub.listing_rows import ListingRows
from axonlab_hub.published_rows import PublishedRows
from axonlab_hub.schema import upgrade_schema
from axonlab_hub.tables import ArtifactRow, Base, CheckpointRow, EventRow, JobRow, RunnerRow, RunRow

_BUSY_MS = 10_000
_WRITES = "axonlab_writes"
_OPEN = (JobState.queued, JobState.running)


class Duplicate(Unavailable):
    """A row with this unique key exists already: somebody else was quicker, and trying again will find it."""


class Store:
    """A database."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if self._engine.dialect.name == "sqlite":
            _prepare_sqlite(self._engine)
        self._writer = self._engine.execution_options(**{_WRITES: True})

    def upgrade(self) -> None:
        """Bring the tables to the form that this version needs."""
        with _reachable(), self._writer.begin() as connection:
            upgrade_schema(connection)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Rows]:
        """The rows, as they are at one moment."""
        with _reachable(), Session(self._engine, expire_on_commit=False) as session:
            yield Rows(session)

    @contextmanager
    def write(self) -> Iterator[Rows]:
        """The rows in one transaction, committed at the end of the block.

        Raises
        ------
        Duplicate
            If a row with a unique key was there already.
        """
        try:
            with _reachable(), Session(self._writer, expire_on_commit=False) as session, session.begin():
                yield Rows(session)
        except IntegrityError as error:
            raise Duplicate("Two calls wrote the same thing at once.", remedy="Try again.") from error


class Rows(ListingRows, PublishedRows):
    """What can be asked of, and done to, the rows within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- jobs --------------------------------------------------------------------------------------------

    def job(self, job_id: str, *, lock: bool = False) -> JobRow | None:
        """The job; with `lock`, nobody else changes it before this transaction ends."""
        return self._session.get(JobRow, job_id, with_for_update=lock or None, populate_existing=True)

    def job_by_key(self, owner: str, key: str) -> JobRow | None:
        """The job that its owner submitted with that idempotency key."""
        return self._session.scalar(select(JobRow).where(JobRow.owner == owner, JobRow.idempotency_key == key))

    def add(self, row: Base) -> None:
        """Insert a row."""
        self._session.add(row)
        self._session.flush()

    def change(self, job: JobRow, **values: Any) -> bool:
        """Whether `values` were set: only if the job is still in the state and attempt that `job` shows."""
        changed = self._update(
            JobRow,
            (JobRow.id == job.id, JobRow.state == job.state, JobRow.attempt == job.attempt),
            values,
        )
        self._session.refresh(job)
        return changed == 1

    def unfinished(self, owner: str) -> int:
        """How many jobs of that owner are queued or running."""
        return self._count(JobRow.owner == owner, JobRow.state.in_(_OPEN))

    def ahead(self, job: JobRow) -> int:
        """How many queued jobs of the same kind are older."""
        return self._count(
            JobRow.state == JobState.queued,
            JobRow.kind == job.kind,
            tuple_(JobRow.created_at, JobRow.id) < tuple_(job.created_at, job.id),
        )

    def oldest_queued(self, kinds: Sequence[str]) -> JobRow | None:
        """The queued job of these kinds that has waited longest."""
        return self._session.scalar(
            select(JobRow)
            .where(JobRow.state == JobState.queued, JobRow.kind.in_(kinds))
            .order_by(JobRow.created_at, JobRow.id)
            .limit(1)
        )

    # -- runs --------------------------------------------------------------------------------------------

    def run(self, job_id: str, attempt: int) -> RunRow | None:
        """One attempt."""
        return self._session.get(RunRow, (job_id, attempt), populate_existing=True)

    def renew(self, job_id: str, attempt: int, until: datetime) -> None:
        """Let the lease of a run that has not ended end at `until`."""
        open_run = (RunRow.job_id == job_id, RunRow.attempt == attempt, RunRow.ended_at.is_(None))
        self._update(RunRow, open_run, {"lease_expires_at": until})

    def end_run(self, job_id: str, attempt: int, *, at: datetime, by: str) -> None:
        """Note when and how a run ended."""
        self._update(RunRow, (RunRow.job_id == job_id, RunRow.attempt == attempt), {"ended_at": at, "ended_by": by})

    def lapsed(self, now: datetime) -> Sequence[RunRow]:
        """The runs whose lease ended without a heartbeat."""
        return self._session.scalars(
            select(RunRow).where(RunRow.ended_at.is_(None), RunRow.lease_expires_at < now)
        ).all()

    # -- events ------------------------------------------------------------------------------------------

    def append(self, job_id: str, attempt: int, at: datetime, bodies: Sequence[str]) -> None:
        """Add events; the job's counter gives their numbers, and locks out others who append."""
        last = self._session.execute(
            update(JobRow)
            .where(JobRow.id == job_id)
            .values(last_event=JobRow.last_event + len(bodies))
            .returning(JobRow.last_event)
            .execution_options(synchronize_session=False)
        ).scalar_one()
        first = last - len(bodies) + 1
        self._session.add_all(
            EventRow(job_id=job_id, n=first + i, attempt=attempt, at=at, body=body) for i, body in enumerate(bodies)
        )
        self._session.flush()

    def took(self, job_id: str, attempt: int, count: int) -> None:
        """Note how many events of a run have been taken."""
        self._update(RunRow, (RunRow.job_id == job_id, RunRow.attempt == attempt), {"events_taken": count})

    def events(self, job_id: str, after: int, limit: int) -> Sequence[EventRow]:
        """The events that follow number `after`."""
        return self._session.scalars(
            select(EventRow).where(EventRow.job_id == job_id, EventRow.n > after).order_by(EventRow.n).limit(limit)
        ).all()

    # -- artifacts and checkpoints -----------------------------------------------------------------------

    def artifacts(self, job_id: str, attempt: int, *, listed: bool) -> Sequence[ArtifactRow]:
        """The files of a run's bundle: those that it ended with, or all that it announced."""
        which = (ArtifactRow.job_id == job_id, ArtifactRow.attempt == attempt)
        query = select(ArtifactRow).where(*which).order_by(ArtifactRow.path)
        return self._session.scalars(query.where(ArtifactRow.listed) if listed else query).all()

    def artifact(self, job_id: str, attempt: int, path: str) -> ArtifactRow | None:
        """One file of a run's bundle."""
        return self._session.get(ArtifactRow, (job_id, attempt, path))

    def put(self, row: Base) -> None:
        """Insert a row, or replace the one with its key."""
        self._session.merge(row)
        self._session.flush()

    def checkpoints(self, job_id: str) -> Sequence[CheckpointRow]:
        """Checkpoints of a job, newest first."""
        return self._session.scalars(
            select(CheckpointRow)
            .where(CheckpointRow.job_id == job_id)
            .order_by(CheckpointRow.attempt.desc(), CheckpointRow.step.desc())
        ).all()

    def forget_checkpoint(self, row: CheckpointRow) -> None:
        """Remove the row of a checkpoint."""
        self._session.execute(
            delete_rows(CheckpointRow).where(
                CheckpointRow.job_id == row.job_id,
                CheckpointRow.attempt == row.attempt,
                CheckpointRow.sha256 == row.sha256,
            )
        )

    def final_with_checkpoints(self) -> Sequence[str]:
        """Ids of the jobs that are over and still have checkpoints."""
        return self._session.scalars(
            select(JobRow.id).where(JobRow.state.not_in(_OPEN), JobRow.id == CheckpointRow.job_id).distinct()
        ).all()

    # -- runners -----------------------------------------------------------------------------------------

    def runners_since(self, at: datetime) -> Sequence[RunnerRow]:
        """The runners seen at or after `at`."""
        return self._session.scalars(select(RunnerRow).where(RunnerRow.seen_at >= at).order_by(RunnerRow.name)).all()

    def touch_runner(self, name: str, at: datetime) -> None:
        """Note that a runner is alive."""
        self._update(RunnerRow, (RunnerRow.name == name,), {"seen_at": at})

    def _count(self, *which: ColumnElement[bool]) -> int:
        return self._session.scalar(select(func.count()).select_from(JobRow).where(*which)) or 0

    def _update(self, table: type[Base], which: Sequence[ColumnElement[bool]], values: dict[str, Any]) -> int:
        statement = update(table).where(*which).values(**values).execution_options(synchronize_session=False)
        result = self._session.execute(statement)
        assert isinstance(result, CursorResult)  # noqa: S101 (an update without RETURNING)
        return result.rowcount


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (InterfaceError, OperationalError) as error:
        raise Unavailable("The database is away or busy.", remedy="Try again in a moment.") from error


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, below
        for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
