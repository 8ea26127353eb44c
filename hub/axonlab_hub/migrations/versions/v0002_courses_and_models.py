"""Jobs by course and assignment, resubmitted jobs; models and what staff published for a course."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the tables."""
    op.add_column("jobs", sa.Column("assignment", sa.String(100)))
    op.add_column("jobs", sa.Column("resubmitted_from", sa.String(40)))
    op.create_index("ix_jobs_of_owner", "jobs", ["owner", "created_at", "id"])
    op.create_index("ix_jobs_of_course", "jobs", ["course", "created_at", "id"])
    _assignments_from_specs()
    op.create_table(
        "models",
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.Text),
    )
    op.create_table(
        "published_models",
        sa.Column("course", sa.String(63), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("published_by", sa.String(255), nullable=False),
        sa.Column("published_at", _TIME, nullable=False),
    )
    op.create_table(
        "published_images",
        sa.Column("course", sa.String(63), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("manifest_bytes", sa.BigInteger, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("labelled", sa.Integer, nullable=False),
        sa.Column("classes", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("published_by", sa.String(255), nullable=False),
        sa.Column("published_at", _TIME, nullable=False),
    )
    op.create_table(
        "published_blobs",
        sa.Column("course", sa.String(63), primary_key=True),
        sa.Column("item", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_published_blobs", "published_blobs", ["course", "sha256"])


def _assignments_from_specs() -> None:
    jobs = sa.table("jobs", sa.column("id"), sa.column("spec"), sa.column("assignment"))
    connection = op.get_bind()
    for job_id, spec in connection.execute(sa.select(jobs.c.id, jobs.c.spec)).all():
        if assignment := json.loads(spec).get("assignment"):
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(assignment=assignment))
