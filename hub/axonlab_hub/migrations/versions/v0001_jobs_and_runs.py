"""Jobs, runs, events, artifacts, checkpoints, runners: the tables of issue 1.

They were made without Alembic at first: a database that has them is taken over as being here.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("course", sa.String(63)),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.String(100)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(30)),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lost_runs", sa.Integer, nullable=False),
        sa.Column("hand_backs", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("last_event", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
    op.create_index("ix_jobs_owner", "jobs", ["owner"])
    op.create_index("ix_jobs_queue", "jobs", ["state", "kind", "created_at", "id"])
    op.create_table(
        "runs",
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("runner", sa.String(100), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("claimed_at", _TIME, nullable=False),
        sa.Column("lease_expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("ended_by", sa.String(20)),
        sa.Column("events_taken", sa.Integer, nullable=False),
    )
    op.create_index("ix_runs_lease_expires_at", "runs", ["lease_expires_at"])
    op.create_index("ix_runs_ended_at", "runs", ["ended_at"])
    op.create_table(
        "events",
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "artifacts",
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("path", sa.String(512), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("listed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "runners",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("capabilities", sa.Text, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
    )
    op.create_index("ix_runners_seen_at", "runners", ["seen_at"])
