# ruff: noqa: S107 (the doubles' tokens are names)
"""Lists, logs, and jobs that are submitted again."""

import json
from datetime import timedelta

import pytest

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.kinds import Capabilities
from axonlab_core.contract.listing import JobsAnswer
from axonlab_hub.forecast import expected_starts
from axonlab_hub.listing_rows import Busy, Waiting

from .conftest import MACHINE, model_bytes


def ids(answer):
    return [job["id"] for job in answer["jobs"]]


def listed(service, query="", token="ana"):
    return service.ok("GET", f"jobs{query}", token=token)


def test_pages_are_newest_first_and_without_gaps(service):
    made = []
    for n in range(5):
        made.append(service.submit(name=f"n{n}")["id"])
        if n != 2:  # two were made at the same moment
            service.clock.forward(1)
    seen, query = [], "?limit=2"
    while True:
        page = listed(service, query)
        seen += ids(page)
        if page["next_before"] is None:
            break
        query = f"?limit=2&before={page['next_before']}"
    assert sorted(seen) == sorted(made)
    assert (seen[0], seen[-1]) == (made[4], made[0])
    assert {*seen[1:3]} == {made[3], made[2]}
    service.refused(404, "GET", "jobs?before=zzzzzzzzzzzz", token="ana")


def test_filters(service):
    done = service.submit(assignment="week 1")
    service.succeed(done)
    waiting = service.submit(assignment="week 2")
    assert ids(listed(service, "?state=queued")) == [waiting["id"]]
    assert len(ids(listed(service, "?state=queued&state=succeeded"))) == 2
    assert ids(listed(service, "?assignment=week 1")) == [done["id"]]
    assert ids(listed(service, "?kind=infer")) == []
    assert len(ids(listed(service, "?course=axons&owner=ana"))) == 2
    assert ids(listed(service, "?course=nerves")) == []
    for query, names in [("?cuorse=axons", "cuorse"), ("?limit=0", "limit"), ("?state=sleeping", "state")]:
        assert names in service.refused(422, "GET", f"jobs{query}", token="ana")["message"]


def test_staff_see_everybodys_jobs_of_their_course_only(service):
    ana, cat = service.submit(), service.submit(token="cat", course="axons")
    service.submit(token="cat", course="nerves")
    service.submit(token="ben")
    assert sorted(ids(listed(service, "?course=axons", token="tea"))) == sorted([ana["id"], cat["id"]])
    assert ids(listed(service, "?course=axons&owner=cat", token="tea")) == [cat["id"]]
    assert ids(listed(service, "", token="tea")) == []
    assert ids(listed(service, "?course=nerves", token="tea")) == []
    for query in ("?owner=cat", "?owner=cat&course=axons"):
        service.refused(403, "GET", f"jobs{query}", token="ana")
    service.refused(403, "GET", "jobs?owner=cat&course=nerves", token="tea")
    page = listed(service, "?course=axons&limit=1", token="tea")
    assert len(ids(listed(service, f"?course=axons&before={page['next_before']}", token="tea"))) == 1


def test_the_only_course_is_the_jobs_course(service):
    assert service.submit(token="ana")["spec"]["course"] == "axons"
    assert service.submit(token="ben")["spec"]["course"] is None
    assert service.submit(token="cat")["spec"]["course"] is None, "two courses: nobody can know which"
    spec = {"kind": "train", "dataset": service.dataset(), "steps": 3}
    body = {"spec": spec, "idempotency_key": "k"}
    first, again = (service.call("POST", "jobs", token="ana", body=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["spec"]["course"] == "axons"


def test_jobs_of_a_newer_service_do_not_break_an_old_reader(service):
    service.submit()
    text = json.dumps(listed(service))
    raw = json.loads(text)
    newer = json.loads(json.dumps(raw["jobs"][0]))
    newer["spec"] = {"kind": "prepare", "dataset": "0" * 64}
    larger = json.loads(json.dumps(raw["jobs"][0]))
    larger["spec"]["preset"] = "enormous"
    raw["jobs"] += [newer, larger]
    raw["shiny"] = True
    answer = JobsAnswer.read_answer(json.dumps(raw))
    assert (len(answer.jobs), answer.left_out) == (1, 2)
    broken = raw | {"jobs": [{"id": "no"}]}
    with pytest.raises(ValueError, match="owner"):
        JobsAnswer.read_answer(json.dumps(broken))


def test_a_job_is_submitted_again(service):
    job = service.submit(name="first", assignment="a1")
    said = service.refused(409, "POST", f"jobs/{job['id']}/resubmit", token="ana", body={})
    assert "is queued" in said["message"]
    service.ok("POST", f"jobs/{job['id']}/cancel", token="ana")
    answers = [
        service.call("POST", f"jobs/{job['id']}/resubmit", token="ana", body={"idempotency_key": "k"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    again = answers[0].json()
    assert again["id"] != job["id"]
    assert again["spec"] == job["spec"]
    assert again["resubmitted_from"] == job["id"]
    third = service.ok("POST", f"jobs/{job['id']}/resubmit", token="ana")
    assert third["id"] not in {job["id"], again["id"]}, "without a key, and without a body, it is a new job each time"
    service.refused(409, "POST", "jobs", token="ana", body={"spec": job["spec"], "idempotency_key": "k"})
    service.refused(404, "POST", f"jobs/{job['id']}/resubmit", token="ben", body={})
    said = service.refused(403, "POST", f"jobs/{job['id']}/resubmit", token="tea", body={})
    assert "belongs to ana" in said["message"]
    service.parts.storage.delete("users/ana/blobs")
    service.refused(422, "POST", f"jobs/{job['id']}/resubmit", token="ana", body={})


def test_the_log_is_text_page_by_page(service):
    job = service.submit()
    claim = service.claim(job["id"])
    run = f"runs/{job['id']}/1/events"
    metrics = [{"type": "metric", "step": n, "values": {"loss": 0.5}} for n in range(400)]
    logs = [{"type": "log", "stream": "stdout", "text": f"{n:04d} " + "x" * 19_000 + "\n"} for n in range(30)]
    events = [*metrics, {"type": "step", "name": "fetch_inputs", "status": "done", "duration_s": 1.25}, *logs]
    service.ok("POST", run, token=claim["token"], body={"first": 0, "events": events})
    text, after, pages = "", 0, 0
    while True:
        answer = service.call("GET", f"jobs/{job['id']}/log?after={after}", token="ana")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        text += answer.text
        after, pages = int(answer.headers["axonlab-next-after"]), pages + 1
        if answer.headers["axonlab-more"] == "false":
            break
    assert pages > 1
    assert [line[:4] for line in text.splitlines() if "xxx" in line] == [f"{n:04d}" for n in range(30)]
    assert "fetch_inputs: done after 1.2 s" in text
    assert "running: Run 1 on here." in text
    assert "loss" not in text
    service.refused(404, "GET", f"jobs/{job['id']}/log", token="ben")


def machine(name, **changes):
    return Capabilities.model_validate(MACHINE | {"name": name} | changes)


def test_jobs_are_expected_in_the_order_of_the_queue():
    now = utc_now()
    queue = [Waiting("a", "train"), Waiting("b", "infer"), Waiting("c", "train"), Waiting("d", "train")]
    busy = [Busy("one", "train", now - timedelta(seconds=40)), Busy("gone", "train", now)]
    starts = expected_starts(queue, busy, [machine("one"), machine("two")], {"train": 100, "infer": 10}, now)
    assert starts == {"a": 0, "b": 60, "c": 70, "d": 100}
    assert expected_starts(queue, [], [], {"train": 100}, now) == {}
    only_infer = expected_starts(queue, [], [machine("one", kinds=["infer"])], {}, now)
    assert only_infer == {"b": 0}, "nobody takes the others"
    unknown = expected_starts(queue, [], [machine("one")], {"infer": 10}, now)
    assert unknown == {"a": 0}, "how long a takes nobody knows"


def test_the_expected_start_is_in_the_answer(service):
    assert service.submit()["expected_start_s"] is None, "no runner"
    service.ok("POST", "runner/next", token="runner", body={"capabilities": MACHINE})
    first = listed(service)["jobs"][0]
    service.clock.forward(1)
    second = service.submit()
    assert first["expected_start_s"] == 0
    assert second["expected_start_s"] is None, "no run has ended yet"
    claim = service.claim(first["id"])
    service.clock.forward(30)
    named = service.deliver(claim, {"model/model.safetensors": model_bytes()})
    service.ok("POST", f"runs/{first['id']}/1/complete", token=claim["token"], body={"files": named})
    service.ok("POST", "runner/next", token="runner", body={"capabilities": MACHINE})
    service.clock.forward(1)
    third = service.submit()
    assert service.ok("GET", f"jobs/{second['id']}", token="ana")["expected_start_s"] == 0
    assert third["expected_start_s"] == 30
