"""The service over a private PostgreSQL: the same tables, the same answers, replicas that start together."""

import os
import pwd
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from axonlab_hub.store import Store
from axonlab_hub.tables import Base

from .conftest import MACHINE, model_bytes, quick_settings, running_service
from .test_schema import SPEC

INITDB, PG_CTL = shutil.which("initdb"), shutil.which("pg_ctl")
pytestmark = pytest.mark.skipif(INITDB is None or PG_CTL is None, reason="no PostgreSQL on this machine")


@pytest.fixture(scope="module")
def server():
    """Where a PostgreSQL of our own listens (a folder); it refuses to run as root, so root asks another user."""
    user = None
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="axonlab-postgresql-"))
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(*command):
        subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=60)

    run(INITDB, "-D", data, "-U", "axonlab", "-A", "trust", "-E", "UTF8", "-N")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    run(PG_CTL, "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
    try:
        yield folder
    finally:
        run(PG_CTL, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def url(server, request):
    """A database of the test's own."""
    name = request.node.name.replace("-", "_")[:50].lower()
    base = f"postgresql+psycopg://axonlab@/%s?host={server}"
    engine = create_engine(base % "postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return base % name


def differences(store):
    with store._engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)


def upgraded(url):
    store = Store(url)
    store.upgrade()
    return store


def test_replicas_that_start_together_make_the_tables_once(url):
    with ThreadPoolExecutor(3) as pool:
        stores = list(pool.map(upgraded, [url] * 3))
    assert differences(stores[0]) == []
    for store in stores:
        store.close()


def test_an_old_database_is_taken_over_with_its_rows(url):
    from importlib import import_module

    from alembic.operations import Operations

    first = import_module("axonlab_hub.migrations.versions.v0001_jobs_and_runs")
    engine = create_engine(url)
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        first.upgrade()
        connection.execute(
            text(
                "INSERT INTO jobs VALUES ('abcdefgh', 'ana', 'axons', 'train', :spec, 'k', 'succeeded', 'done', '', 1,"
                " 0, 0, false, 1, now(), now(), now())"
            ),
            {"spec": SPEC},
        )
    engine.dispose()
    store = upgraded(url)
    assert differences(store) == []
    with store.read() as rows:
        job = rows.job("abcdefgh")
        assert (job.owner, job.assignment) == ("ana", "week 1")
        assert job.created_at.tzinfo is not None
    store.close()


def test_the_whole_way(url, tmp_path):
    settings = quick_settings(tmp_path).model_copy(update={"database_url": url})
    with running_service(settings) as service:
        service.ok("POST", "runner/next", token="runner", body={"capabilities": MACHINE})
        jobs = []
        for _ in range(3):
            jobs.append(service.submit(assignment="week 1"))
            service.clock.forward(1)
        assert [job["queue_position"] for job in jobs] == [1, 2, 3]
        service.succeed(jobs[0], {"model/model.safetensors": model_bytes()})
        page = service.ok("GET", "jobs?limit=2&assignment=week 1", token="ana")
        assert [job["id"] for job in page["jobs"]] == [jobs[2]["id"], jobs[1]["id"]]
        (last,) = service.ok("GET", f"jobs?before={page['next_before']}", token="ana")["jobs"]
        assert (last["id"], last["state"]) == (jobs[0]["id"], "succeeded")
        assert service.ok("GET", "models", token="ana")["mine"][0]["summary"]["preset"] == "tiny"
        dataset = service.dataset(token="tea")
        body = {"name": "Week 1", "dataset": dataset}
        assert [service.call("POST", "courses/axons/images", token="tea", body=body).status_code for _ in range(2)] == [
            201,
            200,
        ]
        again = service.ok("POST", f"jobs/{jobs[0]['id']}/resubmit", token="ana", body={"idempotency_key": "k"})
        assert again["resubmitted_from"] == jobs[0]["id"]
        assert service.ok("GET", "options", token="tea")["kinds"][0]["queued"] == 3
        assert "running" in service.call("GET", f"jobs/{jobs[0]['id']}/log", token="ana").text
        service.ok("DELETE", f"courses/axons/images/{dataset}", token="tea")
