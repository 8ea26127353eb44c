"""Databases of every age come to the form that the service needs, and keep their rows."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from axonlab_core.contract.errors import PlatformError
from axonlab_core.contract.jobs import job_spec
from axonlab_hub.store import Store
from axonlab_hub.tables import Base, UtcDateTime

# What `create_all` made before there were migrations, as SQLite gave it back.
OLD_TABLES = """
CREATE TABLE jobs (
    id VARCHAR(40) NOT NULL, owner VARCHAR(255) NOT NULL, course VARCHAR(63), kind VARCHAR(20) NOT NULL,
    spec TEXT NOT NULL, idempotency_key VARCHAR(100), state VARCHAR(20) NOT NULL, reason VARCHAR(30),
    message TEXT NOT NULL, attempt INTEGER NOT NULL, lost_runs INTEGER NOT NULL, hand_backs INTEGER NOT NULL,
    cancel_requested BOOLEAN NOT NULL, last_event INTEGER NOT NULL, created_at DATETIME NOT NULL,
    started_at DATETIME, finished_at DATETIME, PRIMARY KEY (id), UNIQUE (owner, idempotency_key));
CREATE INDEX ix_jobs_owner ON jobs (owner);
CREATE INDEX ix_jobs_queue ON jobs (state, kind, created_at, id);
CREATE TABLE runners (
    name VARCHAR(100) NOT NULL, capabilities TEXT NOT NULL, seen_at DATETIME NOT NULL, PRIMARY KEY (name));
CREATE INDEX ix_runners_seen_at ON runners (seen_at);
CREATE TABLE runs (
    job_id VARCHAR(40) NOT NULL, attempt INTEGER NOT NULL, runner VARCHAR(100) NOT NULL,
    token_sha256 VARCHAR(64) NOT NULL, claimed_at DATETIME NOT NULL, lease_expires_at DATETIME NOT NULL,
    ended_at DATETIME, ended_by VARCHAR(20), events_taken INTEGER NOT NULL, PRIMARY KEY (job_id, attempt),
    FOREIGN KEY(job_id) REFERENCES jobs (id));
CREATE INDEX ix_runs_lease_expires_at ON runs (lease_expires_at);
CREATE INDEX ix_runs_ended_at ON runs (ended_at);
CREATE TABLE events (
    job_id VARCHAR(40) NOT NULL, n INTEGER NOT NULL, attempt INTEGER NOT NULL, at DATETIME NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (job_id, n), FOREIGN KEY(job_id) REFERENCES jobs (id));
CREATE TABLE artifacts (
    job_id VARCHAR(40) NOT NULL, attempt INTEGER NOT NULL, path VARCHAR(512) NOT NULL,
    sha256 VARCHAR(64) NOT NULL, size_bytes BIGINT NOT NULL, listed BOOLEAN NOT NULL,
    PRIMARY KEY (job_id, attempt, path), FOREIGN KEY(job_id) REFERENCES jobs (id));
CREATE TABLE checkpoints (
    job_id VARCHAR(40) NOT NULL, attempt INTEGER NOT NULL, sha256 VARCHAR(64) NOT NULL, step INTEGER NOT NULL,
    size_bytes BIGINT NOT NULL, PRIMARY KEY (job_id, attempt, sha256), FOREIGN KEY(job_id) REFERENCES jobs (id));
"""
SPEC = '{"kind": "train", "dataset": "' + "0" * 64 + '", "steps": 3, "course": "axons", "assignment": "week 1"}'


@pytest.fixture
def file(tmp_path):
    return tmp_path / "axonlab.sqlite"


@pytest.fixture
def old_file(file):
    with sqlite3.connect(file) as database:
        database.executescript(OLD_TABLES)
        database.execute(
            "INSERT INTO jobs VALUES ('abcdefgh', 'ana', 'axons', 'train', ?, 'k', 'succeeded', 'done', '', 1, 0, 0,"
            " 0, 1, '2026-11-01 10:00:00.000000', '2026-11-01 10:01:00.000000', '2026-11-01 10:02:00.000000')",
            [SPEC],
        )
        database.execute(
            "INSERT INTO runs VALUES ('abcdefgh', 1, 'here', '', '2026-11-01 10:01:00.000000',"
            " '2026-11-01 10:03:00.000000', '2026-11-01 10:02:00.000000', 'complete', 0)"
        )
        database.execute(
            "INSERT INTO events VALUES ('abcdefgh', 1, 0, '2026-11-01 10:00:00.000000',"
            """ '{"type": "state", "state": "queued"}')"""
        )
    database.close()
    return file


def upgraded(file):
    store = Store(f"sqlite:///{file}")
    store.upgrade()
    return store


def differences(store):
    with store._engine.connect() as connection:

        def same_type(_context, _column, _metadata, found, wanted):
            return None if not isinstance(wanted, UtcDateTime) else False

        context = MigrationContext.configure(connection, opts={"compare_type": same_type})
        return compare_metadata(context, Base.metadata)


def test_a_new_database_has_the_form_that_the_code_expects(file):
    store = upgraded(file)
    assert differences(store) == []
    store.close()


def test_an_old_database_is_taken_over_with_its_rows(old_file):
    store = upgraded(old_file)
    assert differences(store) == []
    with store.read() as rows:
        job = rows.job("abcdefgh")
        assert (job.owner, job.assignment, job.resubmitted_from) == ("ana", "week 1", None)
        assert job_spec.validate_json(job.spec).steps == 3
        assert job.created_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
        assert len(rows.events("abcdefgh", 0, 10)) == 1
        assert rows.recent_durations_s("train", 5) == [60]
    store.close()


def test_twice_and_together_changes_nothing(old_file):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(upgraded, [old_file] * 4))
    for store in stores:
        store.upgrade()
    assert differences(stores[0]) == []
    for store in stores:
        store.close()


def test_what_breaks_half_way_has_not_happened(old_file, monkeypatch):
    from alembic import op

    def broken(*_args, **_more):
        raise OSError("the disk went away")

    with monkeypatch.context() as patched:
        patched.setattr(op, "create_index", broken)
        with pytest.raises(OSError, match="went away"):
            upgraded(old_file)
    with sqlite3.connect(old_file) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {row[1] for row in database.execute("PRAGMA table_info(jobs)")}
    database.close()
    assert "alembic_version" not in tables
    assert "assignment" not in columns
    store = upgraded(old_file)
    assert differences(store) == []
    store.close()


def test_a_database_of_a_newer_version_is_left_alone(file):
    upgraded(file).close()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(PlatformError, match="9999"):
        upgraded(file)
