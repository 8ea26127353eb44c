# ruff: noqa: S107 (the doubles' tokens are names)
"""The OpenAPI document is true: every operation succeeds as it says, and whatever it is sent, none breaks.

Schemathesis makes the requests from the document alone, against the service on a real port. What it cannot know
(which jobs there are, whose tokens) comes from `EXAMPLES`, one for each operation: a new operation needs one too.
"""

import runpy
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from axonlab_core.contract.keys import blob_key, user_namespace

from .conftest import MACHINE, blob_of, model_bytes, quick_settings, running_service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OUT_OF_WAITING = 0.02
REQUESTS_OF_EACH_KIND = 12


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    state = tmp_path_factory.mktemp("openapi")
    unhurried = quick_settings(state).model_copy(
        update={"requests_per_s": 1e6, "request_burst": 10**6, "max_unfinished_jobs": 10**6}
    )
    with running_service(unhurried) as running:
        yield running


@pytest.fixture(scope="module")
def schema(service):
    return schemathesis.openapi.from_url(f"{service.client.base_url}/services/axonlab/api/v1/openapi.json")


def finished(service, token="ana"):
    job = service.submit(token=token)
    service.succeed(job, {"model/model.safetensors": model_bytes()})
    return job["id"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def of_job(job_id, token="ana", **more):
    return {"path_parameters": {"job_id": job_id} | more.pop("path", {}), "headers": bearer(token)} | more


def of_run(service, **more):
    claim = service.claim(service.submit()["id"])
    path = {"job_id": claim["job_id"], "attempt": 1}
    return {"path_parameters": path, "headers": bearer(claim["token"])} | more, claim


def completing(service):
    example, claim = of_run(service)
    return example | {"body": {"files": service.deliver(claim, {"model/model.safetensors": b"model"})}}


def published(service, what):
    if what == "models":
        job_id = finished(service, "tea")
        body = {"name": "Base", "model": {"source": "job", "job_id": job_id}}
        entry = service.ok("POST", "courses/axons/models", token="tea", body=body)
        return entry["model"]["sha256"]
    dataset = service.dataset(token="tea")
    service.ok("POST", "courses/axons/images", token="tea", body={"name": "One", "dataset": dataset})
    return dataset


def of_course(token="ana", **more):
    return {"path_parameters": {"course": "axons"} | more.pop("path", {}), "headers": bearer(token)} | more


def link(service, verb):
    data = b"0123456789"
    if verb == "commit":
        disk, data = service.parts.storage, b"in two parts"
        disk._part_bytes = 6
        try:
            ticket = disk.upload_ticket(blob_key(user_namespace("ana"), blob_of(data).sha256), blob_of(data))
        finally:
            disk._part_bytes = 16 * 2**20
        for part in ticket.parts:
            chunk = data[part.offset : part.offset + part.size_bytes]
            service.client.put(f"/services/axonlab/{part.url}", content=chunk).raise_for_status()
        url = ticket.commit.url
    elif verb == "put":
        key = blob_key(user_namespace("nobody"), blob_of(data).sha256)
        url = service.parts.storage.upload_ticket(key, blob_of(data)).parts[0].url
    else:
        model = f"jobs/{finished(service)}/artifacts/model/model.safetensors"
        url = service.ok("GET", f"{model}/ticket", token="ana")["parts"][0]["url"]
    return {"query": {"permit": url.rsplit("=", 1)[1]}}


# ruff: noqa: ARG005 (all examples are called alike)
EXAMPLES = {
    "open-health": lambda s: {},
    "jobs-uploads": lambda s: {"headers": bearer("ana"), "body": {"blobs": [blob_of(b"new").model_dump()]}},
    "jobs-jobs": lambda s: {"headers": bearer("tea"), "query": {"course": "axons", "limit": 2}},
    "jobs-submit": lambda s: {
        "headers": bearer("ana"),
        "body": {"spec": {"kind": "train", "dataset": s.dataset(), "steps": 3}},
    },
    "jobs-show": lambda s: of_job(finished(s)),
    "jobs-events": lambda s: of_job(finished(s)),
    "jobs-log": lambda s: of_job(finished(s)),
    "jobs-artifacts": lambda s: of_job(finished(s)),
    "jobs-ticket": lambda s: of_job(finished(s), path={"path": "model/model.safetensors"}),
    "jobs-cancel": lambda s: of_job(s.submit()["id"]),
    "jobs-resubmit": lambda s: of_job(finished(s), body={"idempotency_key": None}),
    "courses-options": lambda s: {"headers": bearer("tea")},
    "courses-models": lambda s: {"headers": bearer("ana"), "query": {"course": "axons"}},
    "courses-images": lambda s: of_course(),
    "courses-publish_images": lambda s: of_course("tea", body={"name": "One", "dataset": s.dataset(token="tea")}),
    "courses-publish_model": lambda s: of_course(
        "tea", body={"name": "Base", "model": {"source": "job", "job_id": finished(s, "tea")}}
    ),
    "courses-ticket": lambda s: of_course(path={"sha256": published(s, "images")}),
    "courses-unpublish_model": lambda s: of_course("tea", path={"sha256": published(s, "models")}),
    "courses-unpublish_images": lambda s: of_course("tea", path={"sha256": published(s, "images")}),
    "runners-ask": lambda s: {"headers": bearer("runner"), "body": {"capabilities": MACHINE}},
    "runners-claim": lambda s: of_job(s.submit()["id"], "runner", body={"capabilities": MACHINE}),
    "runs-heartbeat": lambda s: of_run(s, body={"wait_s": 0})[0],
    "runs-inputs": lambda s: of_run(s)[0],
    "runs-events": lambda s: of_run(
        s, body={"first": 0, "events": [{"type": "log", "stream": "stdout", "text": "hello"}]}
    )[0],
    "runs-outputs": lambda s: of_run(s, body={"files": [blob_of(b"x").model_dump() | {"path": "a/b.txt"}]})[0],
    "runs-complete": completing,
    "runs-fail": lambda s: of_run(s, body={"reason": "code_error", "message": "it broke"})[0],
    "runs-release": lambda s: of_run(s, body={"message": ""})[0],
    "links-read": lambda s: link(s, "get"),
    "links-write": lambda s: link(s, "put") | {"body": b"0123456789"},
    "links-commit": lambda s: link(s, "commit"),
}


NOTHING_TO_GET_WRONG = {"open-health", "links-read", "links-write", "links-commit"}
"""A link is any text, and its signature says whether it is one."""
REQUESTS = [
    (name, mode)
    for name in EXAMPLES
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or name not in NOTHING_TO_GET_WRONG
]


def operations(schema):
    return {found.ok().definition.raw["operationId"]: found.ok() for found in schema.get_all_operations()}


def test_every_operation_has_an_example(schema):
    assert set(operations(schema)) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_operation_succeeds_as_documented(service, schema, name):
    operation = operations(schema)[name]
    example = EXAMPLES[name](service)
    if name == "links-write":  # its body is raw bytes, which the document does not describe
        path = f"storage?permit={example['query']['permit']}"
        answer = service.client.put(f"/services/axonlab/api/v1/{path}", content=example["body"])
        assert answer.status_code == 204, answer.text
        return
    case = operation.Case(**example)
    answer = case.call()
    assert 200 <= answer.status_code < 300, answer.text
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize(("name", "mode"), REQUESTS)
def test_nothing_breaks_an_operation(service, schema, name, mode):
    operation = operations(schema)[name]
    example = EXAMPLES[name](service)
    given_path, token = example.get("path_parameters", {}), example.get("headers", {})
    strategy = operation.as_strategy(generation_mode=mode)
    statuses = set()

    @settings(
        max_examples=REQUESTS_OF_EACH_KIND,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, real=st.booleans())
    def fuzz(case, real):
        if real and given_path:
            case.path_parameters = dict(given_path)
        if real and name.startswith("links"):
            case.query = dict(example["query"])
        if isinstance(case.query, dict) and "wait" in case.query:
            case.query["wait"] = OUT_OF_WAITING
        if isinstance(case.body, dict) and "wait_s" in case.body:
            case.body["wait_s"] = OUT_OF_WAITING
        answer = case.call(headers=token)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    fuzz()
    assert statuses
    assert max(statuses) < 500


def test_the_document_is_open_and_loads_nothing(service):
    answer = service.call("GET", "openapi.json")
    assert answer.status_code == 200
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    for path in ("docs", "redoc"):
        service.refused(404, "GET", path)


def test_the_page_about_the_interface_is_up_to_date():
    script = runpy.run_path(str(Path(__file__).parents[3] / "tools" / "api_table.py"))
    assert script["PAGE"].read_text() == script["written"](), "run tools/api_table.py"
