"""The life of a run: claim, lease, fencing, events, end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


def run_path(claim, call):
    return f"runs/{claim['job_id']}/{claim['attempt']}/{call}"


def beat(service, claim, **body):
    return service.ok("POST", run_path(claim, "heartbeat"), token=claim["token"], body=body)


def fail(service, claim, reason, message="it broke"):
    body = {"reason": reason, "message": message}
    return service.ok("POST", run_path(claim, "fail"), token=claim["token"], body=body)


def send_events(service, claim, first, *texts):
    body = {"first": first, "events": [{"type": "warning", "message": text} for text in texts]}
    return service.call("POST", run_path(claim, "events"), token=claim["token"], body=body)


def warnings(service, job_id):
    events = service.ok("GET", f"jobs/{job_id}/events", token="ana")["events"]
    return [(event["attempt"], event["body"]["message"]) for event in events if event["body"]["type"] == "warning"]


def lose(service):
    service.clock.forward(service.settings.lease_s + 1)
    return service.parts.jobs.sweep()


def test_a_run_from_claim_to_result(service):
    job = service.submit()
    claim = service.claim(job["id"])
    assert (claim["attempt"], claim["owner"], claim["wall_clock_s"]) == (1, "ana", 615)
    inputs = service.ok("GET", run_path(claim, "inputs"), token=claim["token"])
    fetched = {entry["file"]["path"]: service.fetch(entry["ticket"]) for entry in inputs["files"]}
    assert b"image" in fetched.values()
    assert b"labels" in fetched.values()
    assert b'"images"' in fetched["dataset.json"]
    assert inputs["checkpoint"] is None
    named = service.deliver(claim, {"model/model.safetensors": b"model", "job.json": b"{}"})
    done = service.ok("POST", run_path(claim, "complete"), token=claim["token"], body={"files": named})
    assert (done["state"], done["reason"]) == ("succeeded", "done")
    again = service.ok("POST", run_path(claim, "complete"), token=claim["token"], body={"files": named})
    assert again == done
    assert service.states(job["id"]) == ["queued", "running", "succeeded"]
    files = service.ok("GET", f"jobs/{job['id']}/artifacts", token="ana")["files"]
    assert [file["path"] for file in files] == ["job.json", "model/model.safetensors"]
    ticket = service.ok("GET", f"jobs/{job['id']}/artifacts/model/model.safetensors/ticket", token="ana")
    assert service.fetch(ticket) == b"model"
    service.refused(404, "GET", f"jobs/{job['id']}/artifacts/nothing.txt/ticket", token="ana")
    service.refused(409, "POST", run_path(claim, "heartbeat"), token=claim["token"], body={})


def test_exactly_one_of_many_claims_wins(service):
    job = service.submit()
    start = threading.Barrier(8)

    def one(n):
        start.wait()
        machine = {"name": f"m{n}", "kinds": ["train"], "device": "cpu", "memory_bytes": 10**10, "disk_bytes": 10**10,
                   "cores": 1}  # fmt: skip
        return service.call("POST", f"runner/jobs/{job['id']}/claim", token="runner", body={"capabilities": machine})

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(one, range(8)))
    assert statuses == [200] + [409] * 7
    assert service.states(job["id"]) == ["queued", "running"]
    assert service.ok("GET", f"jobs/{job['id']}", token="ana")["attempt"] == 1


def test_a_machine_that_is_too_small_is_told_why(service):
    job = service.submit()
    machine = {
        "name": "small",
        "kinds": ["train"],
        "device": "cpu",
        "memory_bytes": 10**9,
        "disk_bytes": 10**9,
        "cores": 1,
    }
    said = service.refused(
        409, "POST", f"runner/jobs/{job['id']}/claim", token="runner", body={"capabilities": machine}
    )
    assert "memory: 0.9 GiB" in said["message"]
    assert "free disk: 0.9 GiB" in said["message"]


def test_a_lost_run_is_followed_by_the_next_and_fenced(service):
    job = service.submit()
    first = service.claim(job["id"])
    assert lose(service) == 1
    shown = service.ok("GET", f"jobs/{job['id']}", token="ana")
    assert shown["state"] == "queued"
    assert "Run 1 on here was lost" in shown["message"]
    second = service.claim(job["id"])
    assert second["attempt"] == 2
    for path, body in [
        ("heartbeat", {}),
        ("events", {"first": 0, "events": [{"type": "warning", "message": "late"}]}),
        ("outputs", {"files": [{"path": "a", "sha256": "0" * 64, "size_bytes": 1}]}),
        ("complete", {"files": [{"path": "a", "sha256": "0" * 64, "size_bytes": 1}]}),
        ("fail", {"reason": "code_error", "message": "late"}),
        ("release", {}),
    ]:
        said = service.refused(409, "POST", run_path(first, path), token=first["token"], body=body)
        assert said["error"] == "fenced"
    assert service.refused(409, "GET", run_path(first, "inputs"), token=first["token"])["error"] == "fenced"
    beat(service, second)
    assert warnings(service, job["id"]) == []


def test_heartbeats_keep_a_run(service):
    claim = service.claim(service.submit()["id"])
    for _ in range(5):
        service.clock.forward(service.settings.lease_s - 0.5)
        beat(service, claim)
        assert service.parts.jobs.sweep() == 0


def test_a_lease_that_lapsed_while_the_service_was_away_is_renewed(service):
    claim = service.claim(service.submit()["id"])
    service.clock.forward(100)
    beat(service, claim)
    assert service.parts.jobs.sweep() == 0


def test_after_too_many_lost_runs_the_job_fails(service):
    job = service.submit()
    for _ in range(service.settings.max_attempts):
        service.claim(job["id"])
        assert lose(service) == 1
    shown = service.ok("GET", f"jobs/{job['id']}", token="ana")
    assert (shown["state"], shown["reason"]) == ("failed", "too_many_attempts")
    assert shown["message"].startswith("3 runs of this job were lost")
    assert shown["finished_at"] is not None


def test_handing_back_costs_no_attempt_and_has_an_end(service):
    job = service.submit()
    for n in range(service.settings.max_hand_backs):
        claim = service.claim(job["id"])
        body = {"message": "shutting down"}
        for _ in range(2):  # the first answer may get lost on its way
            back = service.ok("POST", run_path(claim, "release"), token=claim["token"], body=body)
            assert (back["state"], back["attempt"]) == ("queued", n + 1)
    claim = service.claim(job["id"])
    over = service.ok("POST", run_path(claim, "release"), token=claim["token"], body={})
    assert (over["state"], over["reason"]) == ("failed", "too_many_attempts")


def test_reasons_of_failure(service):
    claim = service.claim(service.submit()["id"])
    failed = fail(service, claim, "out_of_memory", "The kernel needed more than 4 GiB.")
    assert (failed["state"], failed["reason"]) == ("failed", "out_of_memory")
    assert failed["message"] == "The kernel needed more than 4 GiB."
    assert fail(service, claim, "out_of_memory") == failed
    claim = service.claim(service.submit()["id"])
    assert fail(service, claim, "platform")["state"] == "queued"
    claim = service.claim(service.submit()["id"])
    body = {"reason": "done", "message": ""}
    service.refused(422, "POST", run_path(claim, "fail"), token=claim["token"], body=body)


def test_a_failed_run_leaves_its_report(service):
    job = service.submit()
    claim = service.claim(job["id"])
    named = service.deliver(claim, {"executed.ipynb": b"{}"})
    missing = {"path": "never.txt", "sha256": "0" * 64, "size_bytes": 1}
    body = {"reason": "code_error", "message": "cell 3", "files": [*named, missing]}
    service.ok("POST", run_path(claim, "fail"), token=claim["token"], body=body)
    files = service.ok("GET", f"jobs/{job['id']}/artifacts", token="ana")["files"]
    assert [file["path"] for file in files] == ["executed.ipynb"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"job.json": b"{}"}, "needs model/model.safetensors"),
        ({"model/model.safetensors": None}, "model/model.safetensors has not been uploaded"),
    ],
)
def test_an_incomplete_bundle_is_refused_by_name(service, files, says):
    claim = service.claim(service.submit()["id"])
    there = {path: data for path, data in files.items() if data is not None}
    named = service.deliver(claim, there) if there else []
    named += [{"path": path, "sha256": "0" * 64, "size_bytes": 5} for path, data in files.items() if data is None]
    said = service.refused(409, "POST", run_path(claim, "complete"), token=claim["token"], body={"files": named})
    assert says in said["message"]
    assert beat(service, claim)["cancel"] is False, "the run goes on and may try again"


def test_a_bundle_names_its_files_as_they_were_uploaded(service):
    claim = service.claim(service.submit()["id"])
    (named,) = service.deliver(claim, {"model/model.safetensors": b"model"})
    body = {"files": [named | {"sha256": "0" * 64}]}
    service.refused(409, "POST", run_path(claim, "complete"), token=claim["token"], body=body)
    other = {"path": "model/model.safetensors", "sha256": "1" * 64, "size_bytes": 5}
    said = service.refused(409, "POST", run_path(claim, "outputs"), token=claim["token"], body={"files": [other]})
    assert "another content" in said["message"]


def test_segmenting_needs_masks(service):
    trained = service.submit()
    service.succeed(trained)
    job = (
        service.submit(kind="infer", steps=None)
        if False
        else service.ok(
            "POST",
            "jobs",
            token="ana",
            body={
                "spec": {
                    "kind": "infer",
                    "dataset": service.dataset(),
                    "model": {"source": "job", "job_id": trained["id"]},
                }
            },
        )
    )
    claim = service.claim(job["id"])
    inputs = service.ok("GET", run_path(claim, "inputs"), token=claim["token"])
    model = next(entry for entry in inputs["files"] if entry["file"]["path"] == "model.safetensors")
    assert service.fetch(model["ticket"]) == b"model"
    named = service.deliver(claim, {"overlays/nerve.overlay.png": b"png"})
    service.refused(409, "POST", run_path(claim, "complete"), token=claim["token"], body={"files": named})
    named += service.deliver(claim, {"masks/nerve.labels.ome.tif": b"tif"})
    done = service.ok("POST", run_path(claim, "complete"), token=claim["token"], body={"files": named})
    assert done["state"] == "succeeded"


def test_events_are_taken_once_and_in_order(service):
    job = service.submit()
    claim = service.claim(job["id"])
    assert send_events(service, claim, 0, "a", "b").is_success
    assert send_events(service, claim, 0, "a", "b").is_success
    assert send_events(service, claim, 1, "b", "c").is_success
    assert send_events(service, claim, 5, "f").status_code == 409
    assert warnings(service, job["id"]) == [(1, "a"), (1, "b"), (1, "c")]
    service.states(job["id"])  # no gaps


def test_events_of_many_at_once_have_no_gaps(service):
    job = service.submit()
    claim = service.claim(job["id"])
    texts = [f"{n}" for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        assert all(answer.is_success for answer in pool.map(lambda _: send_events(service, claim, 0, *texts), range(4)))
    assert warnings(service, job["id"]) == [(1, text) for text in texts]
    service.states(job["id"])


def test_a_runner_cannot_claim_a_state(service):
    claim = service.claim(service.submit()["id"])
    body = {"first": 0, "events": [{"type": "state", "state": "succeeded"}]}
    service.refused(422, "POST", run_path(claim, "events"), token=claim["token"], body=body)


def test_cancelling(service):
    queued = service.submit()
    assert service.ok("POST", f"jobs/{queued['id']}/cancel", token="ana")["state"] == "cancelled"
    running = service.submit()
    claim = service.claim(running["id"])
    asked = service.ok("POST", f"jobs/{running['id']}/cancel", token="ana")
    assert (asked["state"], asked["cancel_requested"]) == ("running", True)
    assert beat(service, claim)["cancel"] is True
    over = fail(service, claim, "cancelled_by_user", "Stopped.")
    assert (over["state"], over["reason"]) == ("cancelled", "cancelled_by_user")
    again = service.ok("POST", f"jobs/{running['id']}/cancel", token="ana")
    assert again["state"] == "cancelled", "cancelling what is over changes nothing"


@pytest.mark.parametrize("end", ["lost", "platform", "released"])
def test_a_cancelled_job_whose_run_ends_is_not_started_again(service, end):
    job = service.submit()
    claim = service.claim(job["id"])
    service.ok("POST", f"jobs/{job['id']}/cancel", token="ana")
    if end == "lost":
        lose(service)
    elif end == "platform":
        fail(service, claim, "platform")
    else:
        service.ok("POST", run_path(claim, "release"), token=claim["token"], body={})
    assert service.ok("GET", f"jobs/{job['id']}", token="ana")["state"] == "cancelled"


def put_checkpoint(service, claim, step, first):
    import hashlib

    data = f"weights {claim['attempt']} {step}".encode()
    sha256 = hashlib.sha256(data).hexdigest()
    file = {"path": f"checkpoint-{step:08d}.safetensors", "sha256": sha256, "size_bytes": len(data)}
    body = {"files": [file], "checkpoint": True}
    (ticket,) = service.ok("POST", run_path(claim, "outputs"), token=claim["token"], body=body)["tickets"]
    service.send(ticket, data)
    event = {"type": "checkpoint", "step": step, "file": file["path"], "sha256": sha256, "size_bytes": len(data)}
    service.ok("POST", run_path(claim, "events"), token=claim["token"], body={"first": first, "events": [event]})


def test_the_next_run_goes_on_from_the_newest_checkpoint(service):
    job = service.submit()
    first = service.claim(job["id"])
    for i, step in enumerate((10, 20, 30)):
        put_checkpoint(service, first, step, i)
    prefix = f"jobs/{job['id']}/runs/1/checkpoints"
    assert len(list(service.parts.storage.keys(prefix))) == 2, "the newest two are kept"
    lose(service)
    second = service.claim(job["id"])
    found = service.ok("GET", run_path(second, "inputs"), token=second["token"])["checkpoint"]
    assert found["file"]["path"] == "checkpoints/checkpoint-00000030.safetensors"
    assert service.fetch(found["ticket"]) == b"weights 1 30"
    named = service.deliver(second, {"model/model.safetensors": b"model"})
    service.ok("POST", run_path(second, "complete"), token=second["token"], body={"files": named})
    assert not list(service.parts.storage.keys(prefix)), "a job that is over keeps none"


def test_the_oldest_job_comes_first(service):
    jobs = []
    for _ in range(2):
        jobs.append(service.submit()["id"])
        service.clock.forward(1)
    service.claim(jobs[0])
    claim_again = lose(service)
    assert claim_again == 1
    machine = {
        "name": "m",
        "kinds": ["train"],
        "device": "cpu",
        "memory_bytes": 10**10,
        "disk_bytes": 10**10,
        "cores": 1,
    }
    asked = service.ok("POST", "runner/next", token="runner", body={"capabilities": machine})
    assert asked["job_id"] == jobs[0], "a job that lost its run keeps its place"
