"""Who may call what."""

import pytest

STUDENT_CALLS = [("POST", "uploads"), ("POST", "jobs"), ("GET", "jobs/abcdefgh"), ("GET", "jobs/abcdefgh/events"),
                 ("GET", "jobs/abcdefgh/artifacts"), ("GET", "jobs/abcdefgh/artifacts/a/b/ticket"),
                 ("POST", "jobs/abcdefgh/cancel")]  # fmt: skip
RUNNER_CALLS = [("POST", "runner/next"), ("POST", "runner/jobs/abcdefgh/claim")]


@pytest.mark.parametrize(("method", "path"), STUDENT_CALLS + RUNNER_CALLS)
def test_tokens(shared, method, path):
    call = (method, path)
    assert shared.refused(401, *call)["error"] == "not_signed_in"
    assert shared.refused(401, *call, token="nobody's")["error"] == "not_signed_in"
    assert "access:services" in shared.refused(403, *call, token="ana-no-access")["message"]
    assert "custom:axonlab" in shared.refused(403, *call, token="ana-no-submit")["message"]


@pytest.mark.parametrize(("method", "path"), STUDENT_CALLS)
def test_a_runner_is_no_student(shared, method, path):
    assert "custom:axonlab:submit" in shared.refused(403, method, path, token="runner")["message"]


@pytest.mark.parametrize(("method", "path"), RUNNER_CALLS)
def test_a_student_is_no_runner(shared, method, path):
    assert "custom:axonlab:run" in shared.refused(403, method, path, token="ana")["message"]


@pytest.mark.parametrize("headers", [{"Authorization": "token ana"}, {"Authorization": "bearer ana"}])
def test_both_ways_to_write_a_token(shared, headers):
    shared.refused(404, "GET", "jobs/abcdefgh", headers=headers)


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YTpi", "ana", "Bearer a" + 600 * "b"])
def test_what_is_no_token(shared, value):
    shared.refused(401, "GET", "jobs/abcdefgh", headers={"Authorization": value})


def test_somebody_elses_job_is_not_there(service):
    job = service.submit()
    service.succeed(job)
    for method, path in [("GET", ""), ("GET", "/events"), ("GET", "/artifacts"), ("POST", "/cancel"),
                         ("GET", "/artifacts/model/model.safetensors/ticket")]:  # fmt: skip
        theirs = service.refused(404, method, f"jobs/{job['id']}{path}", token="ben")
        nobodys = service.refused(404, method, f"jobs/{'z' * 20}{path}", token="ben")
        assert theirs["message"].replace(job["id"], "") == nobodys["message"].replace("z" * 20, "")


def test_staff_may_read_the_jobs_of_their_course_only(service):
    inside, outside = service.submit(course="axons"), service.submit(token="ben")
    assert service.ok("GET", f"jobs/{inside['id']}", token="tea")["owner"] == "ana"
    service.refused(403, "POST", f"jobs/{inside['id']}/cancel", token="tea")
    service.refused(404, "GET", f"jobs/{outside['id']}", token="tea")


def test_a_runs_token_opens_its_own_run_only(service):
    first, second = (service.claim(service.submit()["id"]) for _ in range(2))
    for path in ("heartbeat", "events", "outputs", "complete", "fail", "release"):
        body = {"first": 0, "events": [{"type": "warning", "message": "x"}]} if path == "events" else {}
        body = {"reason": "code_error", "message": ""} if path == "fail" else body
        files = {"files": [{"path": "a", "sha256": "0" * 64, "size_bytes": 1}]}
        body = files if path in {"outputs", "complete"} else body
        url = f"runs/{first['job_id']}/1/{path}"
        for token in (second["token"], "runner", "ana", first["token"] + "x"):
            said = service.refused(403, "POST", url, token=token, body=body)
            assert said["message"] == "This token does not open this run."
        service.refused(401, "POST", url, body=body)
    service.refused(403, "GET", f"runs/{first['job_id']}/1/inputs", token=second["token"])
    service.refused(403, "GET", f"runs/{'z' * 20}/1/inputs", token=second["token"])
    service.refused(401, "GET", f"jobs/{first['job_id']}", token=first["token"])
    service.refused(401, "POST", "runner/next", token=first["token"])


def test_only_the_hash_of_a_runs_token_is_kept(service):
    claim = service.claim(service.submit()["id"])
    files = [path for path in service.settings.state.glob("axonlab.sqlite*") if path.is_file()]
    assert files
    assert not any(claim["token"].encode() in path.read_bytes() for path in files)
    assert claim["token"] not in repr(service.parts.store)


def test_an_upload_says_nothing_of_other_peoples_files(service):
    blob = service.upload(b"ana's image", token="ana")
    ask = {"blobs": [blob.model_dump()]}
    assert service.ok("POST", "uploads", token="ana", body=ask)["tickets"] == [None]
    (ticket,) = service.ok("POST", "uploads", token="ben", body=ask)["tickets"]
    (fresh,) = service.ok("POST", "uploads", token="ben", body={"blobs": [{"sha256": "1" * 64, "size_bytes": 11}]})[
        "tickets"
    ]
    assert set(ticket) == set(fresh), "known and unknown look the same"
    answer = service.client.put(f"/services/axonlab/{ticket['parts'][0]['url']}", content=b"ben's own  ")
    assert answer.status_code == 422
    assert service.parts.storage.read(f"users/ana/blobs/{blob.sha256}", max_bytes=100) == b"ana's image"
    assert service.parts.storage.size_bytes(f"users/ben/blobs/{blob.sha256}") is None


def test_answers_stay_out_of_caches_and_pages(shared):
    for answer in (shared.call("GET", "health"), shared.call("GET", "jobs/abcdefgh"), shared.call("GET", "nothing")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert shared.call("GET", "health").json()["status"] == "ok"
    assert shared.refused(404, "GET", "nothing")["error"] == "not_found"
    shared.refused(405, "DELETE", "jobs")


@pytest.mark.parametrize("streamed", [False, True])
def test_large_bodies_are_refused(shared, streamed):
    def chunks():
        for _ in range(40):
            yield b"x" * 100_000

    content = chunks() if streamed else b"x" * 4_000_000
    answer = shared.client.post(
        "/services/axonlab/api/v1/jobs",
        content=content,
        headers={"Authorization": "Bearer ana", "Content-Type": "application/json"},
    )
    assert answer.status_code == 413, answer.text
    assert answer.json()["error"] == "too_large"


def test_what_nobody_expected_is_logged_and_not_told(service, caplog, monkeypatch):
    def broken(*_):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(service.parts.artifacts, "listing", broken)
    said = service.refused(500, "GET", "jobs/abcdefgh/artifacts", token="ana")
    assert "not your doing" in said["message"]
    assert "secret" not in str(said)
    assert "the secret inside" in caplog.text
