"""What a job must bring, and what its owner is told."""

import pytest


def test_a_job_is_admitted_shown_and_streamed(service):
    job = service.submit(course="axons", name="first")
    assert (job["state"], job["queue_position"], job["owner"]) == ("queued", 1, "ana")
    assert service.ok("GET", f"jobs/{job['id']}", token="ana") == job
    assert service.states(job["id"]) == ["queued"]


def test_ids_cannot_be_guessed(service):
    ids = {service.submit()["id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(len(job_id) >= 16 and job_id.isalnum() and job_id == job_id.lower() for job_id in ids)


def test_the_same_key_gives_the_same_job(service):
    spec = {"kind": "train", "dataset": service.dataset(), "steps": 3}
    answers = [
        service.call("POST", "jobs", token="ana", body={"spec": spec, "idempotency_key": "k1"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    other = service.submit(token="ben", key="k1")
    assert other["id"] != answers[0].json()["id"], "a key is the owner's own"
    said = service.refused(
        409, "POST", "jobs", token="ana", body={"spec": spec | {"steps": 4}, "idempotency_key": "k1"}
    )
    assert answers[0].json()["id"] in said["message"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"minuets": 2}, "spec.minuets is not a field"),
        ({"steps": 0}, "spec.steps must be greater than 0; 0 was given"),
        ({"steps": None}, "either minutes or steps"),
        ({"kind": "dance"}, "spec"),
        ({"dataset": "ff"}, "spec.dataset"),
        ({"parameters": {"import os": 1}}, "cannot be a parameter's name"),
    ],
)
def test_a_wrong_field_is_named(shared, change, names):
    spec = {"kind": "train", "dataset": "0" * 64, "steps": 3} | change
    said = shared.refused(422, "POST", "jobs", token="ana", body={"spec": spec})
    assert said["error"] == "bad_input"
    assert names in said["message"]


def test_what_is_not_json_is_said_to_be_so(shared):
    answer = shared.client.post(
        "/services/axonlab/api/v1/jobs",
        content=b"{",
        headers={"Authorization": "Bearer ana", "Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["message"] == "The request's body is not JSON."


def test_a_missing_image_is_named(service):
    sha256 = service.dataset()
    service.parts.storage.delete(f"users/ana/blobs/{_sha256(b'image')}")
    said = service.refused(422, "POST", "jobs", token="ana", body=_train(sha256))
    assert said["message"] == "The image of nerve has not been uploaded."


def test_a_data_set_that_was_not_uploaded_or_is_none(service):
    said = service.refused(422, "POST", "jobs", token="ana", body=_train("0" * 64))
    assert "has not been uploaded" in said["message"]
    junk = service.upload(b"not json").sha256
    said = service.refused(422, "POST", "jobs", token="ana", body=_train(junk))
    assert "is not a data set's manifest" in said["message"]


def test_training_needs_labels(service):
    said = service.refused(422, "POST", "jobs", token="ana", body=_train(service.dataset(labels=False)))
    assert "has labels" in said["message"]


def test_a_data_set_of_somebody_else_is_not_there(service):
    said = service.refused(422, "POST", "jobs", token="ben", body=_train(service.dataset(token="ana")))
    assert "has not been uploaded" in said["message"]


def test_a_course_must_be_ones_own(service):
    body = _train(service.dataset(token="ben"))
    body["spec"]["course"] = "axons"
    said = service.refused(403, "POST", "jobs", token="ben", body=body)
    assert "ben is not in the course axons" in said["message"]


def test_a_model_must_be_ones_own_and_ready(service):
    trained = service.submit()
    spec = {"kind": "infer", "dataset": service.dataset(), "model": {"source": "job", "job_id": trained["id"]}}
    said = service.refused(409, "POST", "jobs", token="ana", body={"spec": spec})
    assert "queued and has no model" in said["message"]
    service.succeed(trained)
    job = service.ok("POST", "jobs", token="ana", body={"spec": spec})
    assert job["spec"]["model"]["job_id"] == trained["id"]
    spec["dataset"] = service.dataset(token="ben")
    service.refused(404, "POST", "jobs", token="ben", body={"spec": spec})
    spec["model"] = {"source": "upload", "sha256": "1" * 64}
    service.refused(422, "POST", "jobs", token="ben", body={"spec": spec})


def test_too_many_jobs_at_a_time(service, monkeypatch):
    limited = service.settings.model_copy(update={"max_unfinished_jobs": 2})
    monkeypatch.setattr(service.parts.jobs, "_settings", limited)
    service.submit()
    service.submit()
    said = service.refused(429, "POST", "jobs", token="ana", body=_train(service.dataset()))
    assert "2 unfinished jobs" in said["message"]


def test_positions_count_jobs_of_a_kind_by_age(service):
    jobs = []
    for _ in range(3):
        jobs.append(service.submit())
        service.clock.forward(1)
    positions = [service.ok("GET", f"jobs/{job['id']}", token="ana")["queue_position"] for job in jobs]
    assert positions == [1, 2, 3]
    service.ok("POST", f"jobs/{jobs[0]['id']}/cancel", token="ana")
    assert service.ok("GET", f"jobs/{jobs[2]['id']}", token="ana")["queue_position"] == 2


def test_a_job_that_nobody_can_take_says_so_with_the_numbers(service):
    job = service.submit()
    assert "No runner has asked for work in the last minute" in job["message"]
    small = {
        "name": "small",
        "kinds": ["train"],
        "device": "cpu",
        "memory_bytes": 2**30,
        "disk_bytes": 10**11,
        "cores": 1,
    }
    asked = service.ok("POST", "runner/next", token="runner", body={"capabilities": small})
    assert asked["job_id"] is None
    message = service.ok("GET", f"jobs/{job['id']}", token="ana")["message"]
    assert "small: memory: 1.0 GiB, and a train job on cpu needs 3.7 GiB" in message
    large = small | {"name": "large", "memory_bytes": 2**33}
    asked = service.ok("POST", "runner/next", token="runner", body={"capabilities": large})
    assert asked["job_id"] == job["id"]
    assert service.ok("GET", f"jobs/{job['id']}", token="ana")["message"] == ""
    service.clock.forward(61)
    assert "No runner" in service.ok("GET", f"jobs/{job['id']}", token="ana")["message"]


def _train(sha256):
    return {"spec": {"kind": "train", "dataset": sha256, "steps": 3}}


def _sha256(data):
    import hashlib

    return hashlib.sha256(data).hexdigest()
