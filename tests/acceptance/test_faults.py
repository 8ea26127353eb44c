"""What may go wrong while a job runs: no job is lost, none succeeds twice, and the model is the same.

Real hub, service, runner, papermill and kernel. Faults come from outside: signals, and a stopped server.
"""

import json
import signal
import subprocess
from collections import Counter

import httpx
import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

import axonlab
from axonlab_core.contract.errors import JobFailed
from axonlab_core.contract.events import CheckpointEvent, MetricEvent, ProgressEvent, StateEvent, StepEvent
from axonlab_core.contract.states import JobState, Reason
from axonlab_hub.settings import child_environment
from classroom import crops, student_client

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

# A training of about twenty seconds on one core, so that there is time to disturb it.
LONG = {"steps": 80, "seed": 7, "batch": 4, "tile_px": 128, "checkpoint_every_s": 1.0, "threads": 1}


@pytest.fixture(scope="module")
def client(classroom, tmp_path_factory):
    with student_client(classroom, "ana", tmp_path_factory.mktemp("cache")) as connection:
        yield connection


@pytest.fixture(scope="module")
def data(client):
    return crops()


class Runner:
    """A runner process as an operator starts it, its log in a file."""

    def __init__(self, classroom, folder, name, *more):
        self.log_file = folder / f"{name}.log"
        self.work_dir = folder / "work"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*classroom.runner_command(), "--name", name, "--work-dir", str(self.work_dir), *more],
                env=child_environment(classroom.settings),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self):
        return self.log_file.read_text()

    def family(self):
        """Every process that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def job_processes(self):
        """Those that a job runs in: all but the warm parent, which stays for the next one."""
        warm = {p.pid for p in psutil.Process(self.process.pid).children() if "axonlab_runner.zygote" in p.cmdline()}
        return [process for process in self.family() if process.pid not in warm]

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def start_runner(classroom, tmp_path):
    runners = []

    def start(name, *more):
        runners.append(Runner(classroom, tmp_path, name, *more))
        return runners[-1]

    yield start
    for runner in runners:
        runner.end()


def until(job, wanted):
    """The first event of the job that `wanted` accepts; fails if the job ends before."""
    for event in job.events():
        if wanted(event.body):
            return event
    pytest.fail(f"the job ended before: {job.details}")


def uploaded_checkpoint(body):
    return isinstance(body, CheckpointEvent) and body.sha256 is not None


def gone(processes, timeout_s=15):
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def states(job):
    return [event.body.state for event in job.events() if isinstance(event.body, StateEvent)]


def weights(result):
    return load_file(result.model)


def record(result):
    return json.loads((result.folder / "job.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(client, data, classroom, tmp_path_factory):
    """The same training, left alone."""
    job = client.train(data, **LONG)
    runner = Runner(classroom, tmp_path_factory.mktemp("undisturbed"), "undisturbed", "--once")
    try:
        result = job.result()
    finally:
        runner.end()
    assert job.details.attempt == 1
    return result


def same_weights(one, other):
    assert one.keys() == other.keys()
    different = [name for name in one if not np.array_equal(one[name], other[name])]
    assert not different, f"{len(different)} of {len(one)} tensors differ, e.g. {different[:3]}"


def test_kill_9_of_the_runner(client, data, classroom, start_runner, undisturbed):
    first = start_runner("first")
    job = client.train(data, **LONG)
    checkpoint = until(job, uploaded_checkpoint)
    family = first.family()
    assert len(first.job_processes()) > 1, "a kernel is at work, beside the process that executes the notebook"
    for process in family:
        environment = process.environ()
        joined = "\n".join(f"{name}={value}" for name, value in environment.items())
        assert classroom.runner_token not in joined
        assert "TOKEN" not in joined.upper()
        assert "/services/axonlab" not in joined
        assert "permit=" not in joined

    first.process.kill()
    first.process.wait(10)
    assert gone(family), "child process and kernel go with their runner"
    second = start_runner("second")

    result = job.result()
    assert job.details.attempt == 2
    assert Counter(states(job))[JobState.succeeded] == 1
    assert states(job)[-1] is JobState.succeeded
    assert f"job {job.id}: run 1 on first was lost" in classroom.hub_log()
    resumed = record(result)["resumed_from"]
    assert int(resumed.split("-")[1].split(".")[0]) >= checkpoint.body.step
    assert f"goes on from {resumed}" in second.log
    same_weights(weights(result), weights(undisturbed))
    assert not list(second.work_dir.glob("runner-*/*-1")), "what the killed runner left is gone"


def test_kill_9_of_the_service(client, data, classroom, start_runner, undisturbed):
    start_runner("steady")
    job = client.train(data, **LONG)
    until(job, lambda body: isinstance(body, ProgressEvent) and body.done > 5)
    classroom.kill_service()
    result = job.result()  # its long poll goes through the outage too
    assert "the service ended with status -9" in classroom.hub_log()
    assert Counter(states(job))[JobState.succeeded] == 1
    numbers = [event.n for event in job.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    same_weights(weights(result), weights(undisturbed))


def test_kill_9_of_the_service_before_the_claim(client, data, classroom, start_runner):
    runner = start_runner("waiting")
    client.train(data, steps=3, batch=2, tile_px=64).wait()  # so that it is asking for the next one
    classroom.kill_service()
    job = client.train(data, steps=3, batch=2, tile_px=64)
    assert job.wait().state is JobState.succeeded
    assert runner.process.poll() is None
    assert job.details.attempt == 1


def test_sigterm_during_the_upload_still_completes(client, data, start_runner):
    runner = start_runner("late")
    job = client.train(data, steps=3, batch=2, tile_px=64)
    until(job, lambda body: isinstance(body, StepEvent) and body.name == "verify")
    runner.process.send_signal(signal.SIGTERM)
    assert runner.process.wait(60) == 0
    start_runner("after")
    assert job.wait().state is JobState.succeeded
    assert Counter(states(job))[JobState.succeeded] == 1


def test_sigterm_hands_the_job_back_and_costs_no_attempt(client, data, start_runner, undisturbed):
    first = start_runner("evicted")
    job = client.train(data, **LONG)
    until(job, lambda body: isinstance(body, ProgressEvent) and body.done > 10)
    family = first.family()
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(60) == 0
    assert gone(family)
    assert job.state is JobState.queued
    assert "asked to stop" in job.details.message
    start_runner("successor")
    result = job.result()
    assert job.details.attempt == 2
    assert record(result)["resumed_from"]
    same_weights(weights(result), weights(undisturbed))


def test_stopping_the_students_server_does_not_stop_the_job(client, data, classroom, start_runner):
    import nbformat

    from axonlab_hub.visit import Visit, text_of

    start_runner("patient")
    with Visit(classroom.url, "dora", classroom.room.passwords["student"]) as visit:
        visit.start_server()
        cell = nbformat.v4.new_code_cell(
            "import axonlab\n"
            "s = axonlab.sample('axon_sem')\n"
            "data = axonlab.dataset(s.images, s.labels, manifest=s.manifest).select(split=['train', 'val'])\n"
            "print(axonlab.train(data, steps=150, batch=4, tile_px=128, threads=1).id)\n"
        )
        with visit.kernel("lessons/01_first_model.ipynb") as kernel:
            kernel.execute(cell, timeout_s=120)
        job_id = text_of(cell).strip().splitlines()[-1]
        dora = axonlab.connect(classroom.service_url, visit.token)
        job = dora.job(job_id)
        until(job, lambda body: isinstance(body, ProgressEvent))
        visit.stop_server()
        assert classroom.hub_api("dora", "GET", "users/dora").json()["servers"] == {}, "the server is gone"
        assert job.state is JobState.running, "and the job goes on"
        job.wait()
        assert job.state is JobState.succeeded
        dora.session.close()


def test_cancel_of_a_running_job(client, data, start_runner):
    runner = start_runner("obedient")
    job = client.train(data, **{**LONG, "steps": 5000})
    until(job, lambda body: isinstance(body, MetricEvent))
    processes = runner.job_processes()
    assert processes
    job.cancel()
    assert states(job)[-1] is JobState.cancelled
    assert job.state is JobState.cancelled
    assert job.details.reason is Reason.cancelled_by_user
    assert gone(processes)
    assert runner.process.poll() is None, "the runner goes on to the next job"
    with pytest.raises(JobFailed, match="cancelled"):
        job.result()


def test_a_job_that_cannot_be_done_says_why_and_the_runner_goes_on(client, data, start_runner):
    runner = start_runner("robust")
    nothing_said = axonlab.dataset(
        {"blank": np.arange(128 * 128, dtype=np.uint16).reshape(128, 128)},
        {"blank": np.full((128, 128), 255, np.uint8)},
    )
    job = client.train(nothing_said, steps=3)
    with pytest.raises(JobFailed, match="label") as failed:
        job.result()
    assert "bad_input" in str(failed.value)
    assert job.report().is_file(), "its owner can look at how far it came"
    assert job.details.reason is Reason.bad_input
    assert client.train(data, steps=3, batch=2, tile_px=64).wait().state is JobState.succeeded
    assert runner.process.poll() is None


def test_every_step_of_the_lifecycle_is_in_the_events(client, data, start_runner):
    start_runner("thorough")
    job = client.train(data, steps=3, batch=2, tile_px=64).wait()
    done = [e.body.name for e in job.events() if isinstance(e.body, StepEvent) and e.body.status == "done"]
    assert done == ["check_environment", "fetch_inputs", "execute", "verify", "release", "upload"]


def test_a_second_student_sees_nothing_of_it(client, data, classroom, start_runner):
    start_runner("private")
    job = client.train(data, steps=3, batch=2, tile_px=64).wait()
    ben = {"Authorization": f"Bearer {classroom.user_token('ben')}"}
    for path in ("", "/events", "/artifacts", "/artifacts/model/model.safetensors/ticket"):
        answer = httpx.get(f"{classroom.service_url}/api/v1/jobs/{job.id}{path}", headers=ben, timeout=30)
        assert answer.status_code == 404, path
