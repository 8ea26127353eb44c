"""The service as it runs in a classroom: behind the real hub and proxy, with the hub's own tokens."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from axonlab_core.backends.transfer import download, upload
from axonlab_core.contract.dataset import DatasetImage, DatasetManifest
from axonlab_core.contract.errors import BadInput, Fenced, NotAllowed, NotFound
from axonlab_core.contract.events import EventsAnswer
from axonlab_core.contract.jobs import Job, SubmitRequest, TrainSpec
from axonlab_core.contract.keys import blob_key, user_namespace
from axonlab_core.contract.listing import JobsAnswer
from axonlab_core.contract.models import PublishedImagesAnswer, PublishedImagesEntry, PublishImagesRequest
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.contract.runs import Accepted, Claim, HeartbeatAnswer, InputsAnswer, NextAnswer, OutputsAnswer
from axonlab_core.contract.states import JobState
from axonlab_core.contract.tickets import Blob, Ticket, UploadAnswer, UploadRequest
from axonlab_hub.scopes import ACCESS, SUBMIT

pytestmark = pytest.mark.acceptance

MACHINE = {
    "name": "test",
    "kinds": ["train"],
    "device": "cpu",
    "memory_bytes": 10**10,
    "disk_bytes": 10**10,
    "cores": 1,
}


def blob_of(data):
    return Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def put(session, *contents):
    blobs = tuple(blob_of(data) for data in contents)
    answer = session.call("POST", "uploads", UploadAnswer, body=UploadRequest(blobs=blobs))
    for ticket, data in zip(answer.tickets, contents, strict=True):
        if ticket is not None:
            upload(session, ticket, data)
    return blobs


def submit(session, *, key=None, **more):
    image, labels = put(session, b"image", b"labels")
    one = DatasetImage(name="nerve", image=image, width_px=8, height_px=8, channels=1, dtype="uint8", labels=labels)
    manifest = DatasetManifest(palette=AXON_PALETTE, images=(one,))
    put(session, manifest.canonical_json())
    spec = TrainSpec(dataset=manifest.content_sha256(), steps=3, **more)
    return session.call("POST", "jobs", Job, body=SubmitRequest(spec=spec, idempotency_key=key))


def claim(classroom, job):
    body = {"capabilities": MACHINE}
    answer = classroom.call("POST", f"runner/jobs/{job.id}/claim", token=classroom.runner_token, json=body)
    assert answer.status_code == 200, answer.text
    return Claim.read_answer(answer.content)


def run_call(classroom, claimed, path, body=None, method="POST"):
    url = f"runs/{claimed.job_id}/{claimed.attempt}/{path}"
    return classroom.call(method, url, token=claimed.token, json=body)


def deliver(classroom, session, claimed, data=b"model"):
    """Upload the model and complete."""
    file = {"path": "model/model.safetensors", **blob_of(data).model_dump()}
    outputs = OutputsAnswer.read_answer(run_call(classroom, claimed, "outputs", {"files": [file]}).content)
    if outputs.tickets[0] is not None:
        upload(session, outputs.tickets[0], data)
    return run_call(classroom, claimed, "complete", {"files": [file]})


@pytest.fixture(scope="module")
def ana(classroom):
    with classroom.session("ana") as session:
        yield session


@pytest.fixture(scope="module")
def ben(classroom):
    with classroom.session("ben") as session:
        yield session


@pytest.fixture(scope="module")
def finished(classroom, ana):
    """A job of ana's, done."""
    job = submit(ana, course="axons")
    assert deliver(classroom, ana, claim(classroom, job)).status_code == 200
    return job


def test_who_gets_in(classroom):
    assert classroom.call("GET", "health").json()["status"] == "ok"
    assert classroom.call("GET", "jobs/abcdefgh").status_code == 401
    assert classroom.call("GET", "jobs/abcdefgh", token="0" * 32).status_code == 401
    for scopes, status in [
        (None, 404),
        ([ACCESS, SUBMIT], 404),
        ([SUBMIT], 403),
        ([ACCESS], 403),
        (["read:users:name!user"], 403),
    ]:
        token = classroom.user_token("ana", scopes=scopes)
        assert classroom.call("GET", "jobs/abcdefgh", token=token).status_code == status, scopes


def test_students_and_runners_do_not_mix(classroom, ana):
    job = submit(ana)
    student = classroom.user_token("ana")
    body = {"capabilities": MACHINE}
    assert classroom.call("POST", "runner/next", token=student, json=body).status_code == 403
    assert classroom.call("POST", f"runner/jobs/{job.id}/claim", token=student, json=body).status_code == 403
    for method, path in [
        ("GET", f"jobs/{job.id}"),
        ("POST", "jobs"),
        ("POST", "uploads"),
        ("POST", f"jobs/{job.id}/cancel"),
    ]:
        assert classroom.call(method, path, token=classroom.runner_token, json={}).status_code == 403
    claimed = claim(classroom, job)
    assert classroom.call("GET", f"jobs/{job.id}", token=claimed.token).status_code == 401
    assert classroom.call("POST", "runner/next", token=claimed.token, json=body).status_code == 401
    other = claim(classroom, submit(ana))
    foreign = Claim(**{**other.model_dump(), "token": claimed.token})
    assert run_call(classroom, foreign, "heartbeat", {}).status_code == 403
    for token in (student, classroom.runner_token):
        asked = Claim(**{**other.model_dump(), "token": token})
        assert run_call(classroom, asked, "inputs", method="GET").status_code == 403
    for each in (claimed, other):
        assert run_call(classroom, each, "fail", {"reason": "code_error", "message": "end of test"}).status_code == 200


def test_a_second_student_finds_nothing(classroom, ana, ben, finished):
    ticket = ana.call("GET", f"jobs/{finished.id}/artifacts/model/model.safetensors/ticket", Ticket)
    assert ticket.parts[0].size_bytes == len(b"model")
    for method, path in [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/artifacts"),
        ("GET", "/artifacts/model/model.safetensors/ticket"),
        ("POST", "/cancel"),
    ]:
        with pytest.raises(NotFound, match="There is no job"):
            ben.call(method, f"jobs/{finished.id}{path}", Job)


def test_staff_sees_the_jobs_of_the_course(classroom, ana, finished):
    with classroom.session("tea") as teacher:
        assert teacher.call("GET", f"jobs/{finished.id}", Job).owner == "ana"
        listed = teacher.call("GET", "jobs", JobsAnswer, query={"course": "axons", "owner": "ana"}).jobs
        assert finished.id in {job.id for job in listed}
        assert {job.owner for job in listed} == {"ana"}
        assert teacher.call("GET", "jobs", JobsAnswer).jobs == (), "the teacher's own"
    with pytest.raises(NotAllowed):
        ana.call("GET", "jobs", JobsAnswer, query={"course": "axons", "owner": "tea"})


def test_staff_publishes_and_students_use_it(classroom, ana):
    with classroom.session("tea") as teacher:
        image, labels = put(teacher, b"a course's image", b"its labels")
        one = DatasetImage(name="n", image=image, width_px=8, height_px=8, channels=1, dtype="uint8", labels=labels)
        manifest = DatasetManifest(palette=AXON_PALETTE, images=(one,))
        put(teacher, manifest.canonical_json())
        request = PublishImagesRequest(name="Week 1", dataset=manifest.content_sha256())
        entry = teacher.call("POST", "courses/axons/images", PublishedImagesEntry, body=request)
        assert (entry.published_by, entry.labelled) == ("tea", 1)
        with pytest.raises(NotAllowed, match="custom:axonlab:teach"):
            ana.call("POST", "courses/axons/images", PublishedImagesEntry, body=request)
        assert ana.call("GET", "courses/axons/images", PublishedImagesAnswer).datasets == (entry,)
        spec = TrainSpec(dataset=entry.dataset.sha256, steps=3)
        job = ana.call("POST", "jobs", Job, body=SubmitRequest(spec=spec))
        assert job.course == "axons", "her only one"
        ana.call("POST", f"jobs/{job.id}/cancel", Job)
        teacher.call("DELETE", f"courses/axons/images/{entry.dataset.sha256}", Accepted)
        with pytest.raises(BadInput, match="has not been uploaded"):
            ana.call("POST", f"jobs/{job.id}/resubmit", Job)


def test_a_course_takes_its_own_people_only(classroom, ana):
    with pytest.raises(NotAllowed, match="not in the course"):
        submit(ana, course="another")


def test_uploads_of_others_are_neither_revealed_nor_readable_nor_overwritable(classroom, ana, ben, tmp_path):
    secret = b"ana's unpublished image"
    (blob,) = put(ana, secret)
    request = UploadRequest(blobs=(blob,))
    assert ana.call("POST", "uploads", UploadAnswer, body=request).tickets == (None,)
    (ticket,) = ben.call("POST", "uploads", UploadAnswer, body=request).tickets
    assert ticket is not None, "ben is not told that ana has it"
    url = ben.link_url(ticket.parts[0].url)
    with httpx.Client(timeout=10) as client:
        assert client.get(url).status_code == 403, "an upload link reads nothing"
        assert client.put(url, content=b"X" * len(secret)).status_code == 422
        forged = url[:-4] + "0000"
        assert client.put(forged, content=secret).status_code == 403
    storage = classroom.settings.state / "storage"
    assert (storage / blob_key(user_namespace("ana"), blob.sha256)).read_bytes() == secret
    assert not (storage / blob_key(user_namespace("ben"), blob.sha256)).exists()
    # A data set that names the hash does not get at the bytes either.
    one = DatasetImage(name="stolen", image=blob, width_px=8, height_px=8, channels=1, dtype="uint8", labels=blob)
    manifest = DatasetManifest(palette=AXON_PALETTE, images=(one,))
    put(ben, manifest.canonical_json())
    spec = {"kind": "train", "dataset": manifest.content_sha256(), "steps": 1}
    answer = classroom.call("POST", "jobs", token=classroom.user_token("ben"), json={"spec": spec})
    assert answer.status_code == 422
    assert answer.json()["message"] == "The image of stolen has not been uploaded."


def test_a_link_is_for_its_verb_and_carries_no_token(classroom, ana, finished, tmp_path):
    ticket = ana.call("GET", f"jobs/{finished.id}/artifacts/model/model.safetensors/ticket", Ticket)
    assert download(ana, ticket, blob_of(b"model"), tmp_path / "model").read_bytes() == b"model"
    url = ana.link_url(ticket.parts[0].url)
    assert httpx.put(url, content=b"model").status_code == 403
    part = httpx.get(url, headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, b"mo")
    assert url.rsplit("/", 1)[1][:40] not in classroom.hub_log(), "links are permissions and are not logged"


def test_the_same_key_gives_the_same_job(classroom, ana):
    first, second = submit(ana, key="lesson-1"), submit(ana, key="lesson-1")
    assert first.id == second.id
    ana.call("POST", f"jobs/{first.id}/cancel", Job)


def test_exactly_one_claim_wins(classroom, ana):
    job = submit(ana)
    start = threading.Barrier(6)

    def one(_):
        start.wait()
        body = {"capabilities": MACHINE}
        return classroom.call("POST", f"runner/jobs/{job.id}/claim", token=classroom.runner_token, json=body)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    claimed = next(Claim.read_answer(answer.content) for answer in answers if answer.status_code == 200)
    assert run_call(classroom, claimed, "fail", {"reason": "code_error", "message": "end of test"}).status_code == 200


def _waiting(session, path, answer):
    """A long poll on another thread, and the time at which it was answered."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(lambda: (session.call("GET", path, answer, wait_s=20), time.monotonic()))
    pool.shutdown(wait=False)
    return future


def test_events_wake_whoever_waits(classroom, ana):
    job = submit(ana)
    seen = ana.call("GET", f"jobs/{job.id}/events", EventsAnswer).next_after
    future = _waiting(ana, f"jobs/{job.id}/events?after={seen}&wait=20", EventsAnswer)
    with pytest.raises(TimeoutError):
        future.result(timeout=0.7)  # nothing has happened, so there is nothing to say
    began = time.monotonic()
    claimed = claim(classroom, job)
    told, at = future.result(timeout=10)
    assert [event.body.state for event in told.events] == [JobState.running]
    assert at - began < 0.4, "woken, and not found by looking again"
    # … and a heartbeat that waits learns at once that the job is to stop.
    with ThreadPoolExecutor(1) as pool:
        beat = pool.submit(run_call, classroom, claimed, "heartbeat", {"wait_s": 20})
        asked = ana.call("POST", f"jobs/{job.id}/cancel", Job)
        assert asked.cancel_requested
        assert HeartbeatAnswer.read_answer(beat.result(5).content).cancel
    over = run_call(classroom, claimed, "fail", {"reason": "cancelled_by_user", "message": "Stopped."})
    assert over.json()["state"] == "cancelled"


def test_a_lost_run_is_followed_by_the_next_and_fenced(classroom, ana):
    job = submit(ana)
    first = claim(classroom, job)
    assert first.lease_s == classroom.settings.lease_s
    seen = ana.call("GET", f"jobs/{job.id}/events", EventsAnswer).next_after
    began = time.monotonic()
    told = ana.call("GET", f"jobs/{job.id}/events?after={seen}&wait=20", EventsAnswer, wait_s=20)
    assert told.state is JobState.queued
    assert time.monotonic() - began < 2 * first.lease_s
    offered = classroom.call("POST", "runner/next", token=classroom.runner_token, json={"capabilities": MACHINE})
    assert NextAnswer.read_answer(offered.content).job_id == job.id
    second = claim(classroom, job)
    assert second.attempt == 2
    late = run_call(classroom, first, "heartbeat", {})
    assert (late.status_code, late.json()["error"]) == (409, Fenced.code)
    late = run_call(classroom, first, "outputs", {"files": [{"path": "a", "sha256": "0" * 64, "size_bytes": 1}]})
    assert (late.status_code, late.json()["error"]) == (409, Fenced.code)
    assert deliver(classroom, ana, second).json()["state"] == "succeeded"
    states = [
        event.body.state
        for event in ana.call("GET", f"jobs/{job.id}/events", EventsAnswer).events
        if event.body.type == "state"
    ]
    assert states == ["queued", "running", "queued", "running", "succeeded"]


def test_a_killed_service_comes_back_and_knows_everything(classroom, ana):
    job = submit(ana)
    claimed = claim(classroom, job)
    inputs = InputsAnswer.read_answer(run_call(classroom, claimed, "inputs", method="GET").content)
    before = ana.call("GET", f"jobs/{job.id}", Job)
    seen = ana.call("GET", f"jobs/{job.id}/events", EventsAnswer).next_after
    watching = _waiting(ana, f"jobs/{job.id}/events?after={seen}&wait=20", EventsAnswer)
    old = classroom.service_processes()["serve"].pid
    classroom.kill_service()
    assert classroom.await_service() < 10
    assert classroom.service_processes()["serve"].pid != old
    assert ana.call("GET", f"jobs/{job.id}", Job) == before
    assert run_call(classroom, claimed, "heartbeat", {}).status_code == 200
    # A link from before opens as it did.
    image = next(entry for entry in inputs.files if entry.file.path.startswith("blobs/"))
    assert httpx.get(ana.link_url(image.ticket.parts[0].url)).content in {b"image", b"labels"}
    assert deliver(classroom, ana, claimed).status_code == 200
    told, _ = watching.result(timeout=25)  # it went on by itself
    assert told.events[-1].body.state is JobState.succeeded
    assert "the service ended with status -9" in classroom.hub_log()


def test_a_students_server_has_what_it_needs_and_no_more(classroom, ana):
    started = classroom.hub_api("dora", "POST", "users/dora/server")
    assert started.status_code in {201, 202}, started.text
    with classroom.browser("dora").stream("GET", "/hub/api/users/dora/server/progress", timeout=60) as progress:
        assert any('"ready": true' in line for line in progress.iter_lines())
    hub = psutil.Process(classroom.room.hub.pid)
    (server,) = [process for process in hub.children() if "singleuser" in " ".join(process.cmdline())]
    environment = server.environ()
    assert environment["AXONLAB_SERVICE_URL"] == classroom.service_url
    names = ("link-secret", "runner-token", "proxy-token", "cookie-secret", "student-password", "teacher-password")
    secrets = [(classroom.settings.state / name).read_text().strip() for name in names]
    assert not [value for value in environment.values() if any(secret in value for secret in secrets)]
    token = environment["JUPYTERHUB_API_TOKEN"]
    body = {"blobs": [blob_of(b"dora's").model_dump()]}
    assert classroom.call("POST", "uploads", token=token, json=body).status_code == 200
    assert classroom.call("POST", "runner/next", token=token, json={"capabilities": MACHINE}).status_code == 403
    home = classroom.settings.state / "homes" / "dora"
    assert (home / "data" / "axon_sem" / "manifest.csv").is_file(), "the course's sample lies in the student's folder"
    assert classroom.hub_api("dora", "DELETE", "users/dora/server").status_code in {202, 204}
    server.wait(20)
