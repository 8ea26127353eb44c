"""The rows that the service keeps."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, ForeignKey, Index, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also where the database keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time as the database takes it."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time with its zone."""
        del dialect
        return None if value is None else (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


class Base(DeclarativeBase):
    """Root of the tables."""

    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 (SQLAlchemy's own form)


class JobRow(Base):
    """A job: what was asked for, and where it is in its life."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("ix_jobs_queue", "state", "kind", "created_at", "id"),
        Index("ix_jobs_of_owner", "owner", "created_at", "id"),
        Index("ix_jobs_of_course", "course", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), index=True)
    course: Mapped[str | None] = mapped_column(String(63))
    assignment: Mapped[str | None] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(20))
    spec: Mapped[str] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(100))
    resubmitted_from: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(30))
    message: Mapped[str] = mapped_column(Text, default="")
    attempt: Mapped[int] = mapped_column(default=0)
    lost_runs: Mapped[int] = mapped_column(default=0)
    hand_backs: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    last_event: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RunRow(Base):
    """One attempt at a job."""

    __tablename__ = "runs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    runner: Mapped[str] = mapped_column(String(100))
    token_sha256: Mapped[str] = mapped_column(String(64))
    claimed_at: Mapped[datetime]
    lease_expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    ended_by: Mapped[str | None] = mapped_column(String(20))
    """Name of the call that ended it (`complete`, `fail`, `release`), or `lease`."""
    events_taken: Mapped[int] = mapped_column(default=0)


class EventRow(Base):
    """One entry of a job's stream."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    at: Mapped[datetime]
    body: Mapped[str] = mapped_column(Text)


class ArtifactRow(Base):
    """A file of a run's result bundle, announced by its runner; `listed` once the run has ended with it."""

    __tablename__ = "artifacts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(512), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    listed: Mapped[bool] = mapped_column(default=False)


class CheckpointRow(Base):
    """A checkpoint that a run has uploaded."""

    __tablename__ = "checkpoints"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    step: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class RunnerRow(Base):
    """A runner that has asked for work."""

    __tablename__ = "runners"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    capabilities: Mapped[str] = mapped_column(Text)
    seen_at: Mapped[datetime] = mapped_column(index=True)


class ModelRow(Base):
    """The model that a train job ended with, and what its card says of it."""

    __tablename__ = "models"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    summary: Mapped[str | None] = mapped_column(Text)
    """JSON; null where the file has no card that can be read."""


class PublishedModelRow(Base):
    """A base model of a course."""

    __tablename__ = "published_models"

    course: Mapped[str] = mapped_column(String(63), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    note: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    summary: Mapped[str] = mapped_column(Text)
    published_by: Mapped[str] = mapped_column(String(255))
    published_at: Mapped[datetime]


class PublishedImagesRow(Base):
    """A data set of a course; its hash is its manifest's."""

    __tablename__ = "published_images"

    course: Mapped[str] = mapped_column(String(63), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    note: Mapped[str] = mapped_column(Text)
    manifest_bytes: Mapped[int] = mapped_column(BigInteger)
    images: Mapped[int]
    labelled: Mapped[int]
    classes: Mapped[str] = mapped_column(Text)
    """JSON."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    published_by: Mapped[str] = mapped_column(String(255))
    published_at: Mapped[datetime]


class PublishedBlobRow(Base):
    """A blob that a course offers, because `item` (the hash of a model or of a manifest) is published there."""

    __tablename__ = "published_blobs"
    __table_args__ = (Index("ix_published_blobs", "course", "sha256"),)

    course: Mapped[str] = mapped_column(String(63), primary_key=True)
    item: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
