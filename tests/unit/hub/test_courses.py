# ruff: noqa: S107 (the doubles' tokens are names)
"""Options, models, and what staff publish for a course."""

import hashlib
import json

import pytest

from axonlab_core.contract.options import OptionsAnswer

from .conftest import MACHINE, blob_of, model_bytes


def train_model(service, token="ana", **spec):
    job = service.submit(token=token, **spec)
    service.succeed(job, {"model/model.safetensors": model_bytes()})
    return job


def publish_model(service, job_id, name="Base"):
    body = {"name": name, "model": {"source": "job", "job_id": job_id}}
    return service.call("POST", "courses/axons/models", token="tea", body=body)


def test_options_say_what_may_be_asked_for(service):
    service.ok("POST", "runner/next", token="runner", body={"capabilities": MACHINE})
    service.submit()
    options = OptionsAnswer.read_answer(json.dumps(service.ok("GET", "options", token="ana")))
    (train, infer) = options.kinds
    assert (train.kind, train.presets, train.queued, infer.kind, infer.queued) == (
        "train",
        ("tiny", "standard"),
        1,
        "infer",
        0,
    )
    assert train.requirements["cuda"].gpu_memory_bytes == 14 * 2**30
    assert (options.limits.unfinished_jobs, options.limits.max_unfinished_jobs) == (1, 50)
    assert options.limits.max_minutes == 24 * 60
    assert [(course.course, course.role) for course in options.courses] == [("axons", "student")]
    assert options.palettes[0].palette.names == ("background", "myelin", "axon")
    assert {(entry.kind, entry.device, entry.count) for entry in options.runners} == {
        ("train", "cpu", 1),
        ("infer", "cpu", 1),
    }
    assert options.runner_details is None, "names are for staff"
    staff = service.ok("GET", "options", token="tea")
    assert staff["runner_details"][0]["name"] == "here"
    assert staff["courses"] == [{"course": "axons", "role": "staff"}]
    service.clock.forward(61)
    assert service.ok("GET", "options", token="ana")["runners"] == []


def test_my_models_show_their_cards(service):
    first, second = train_model(service, name="first"), None
    service.clock.forward(1)
    second = service.submit(name="plain")
    service.succeed(second)
    answer = service.ok("GET", "models", token="ana")
    plain, full = answer["mine"]
    assert (plain["job_id"], plain["name"], plain["summary"]) == (second["id"], "plain", None)
    assert full["job_id"] == first["id"]
    assert full["model"] == blob_of(model_bytes_of(service, first["id"])).model_dump()
    summary = full["summary"]
    assert summary["classes"] == ["background", "myelin", "axon"]
    assert (summary["preset"], summary["pixel_size_um"]) == ("tiny", 0.1)
    assert set(summary["scores"]) == {"axon"}
    assert summary["scores"]["axon"].items() >= {"dice": 0.9, "iou": 0.8}.items()
    assert service.ok("GET", "models", token="ben") == {"mine": [], "published": [], "more": False}
    assert len(service.ok("GET", "models?course=axons", token="ana")["mine"]) == 2
    service.refused(403, "GET", "models?course=axons", token="ben")


def model_bytes_of(service, job_id):
    ticket = service.ok("GET", f"jobs/{job_id}/artifacts/model/model.safetensors/ticket", token="ana")
    return service.fetch(ticket)


def test_the_list_opens_no_file(service):
    job = train_model(service)
    service.parts.storage.delete(f"jobs/{job['id']}")
    assert service.ok("GET", "models", token="ana")["mine"][0]["summary"]["preset"] == "tiny"


def test_models_from_before_there_was_a_list_are_noted_by_the_sweep(service):
    from sqlalchemy import delete

    from axonlab_hub.tables import ModelRow

    train_model(service)
    with service.parts.store.write() as rows:
        rows._session.execute(delete(ModelRow))
    assert service.ok("GET", "models", token="ana")["mine"] == []
    service.parts.jobs.sweep()
    assert service.ok("GET", "models", token="ana")["mine"][0]["summary"]["preset"] == "tiny"


def test_staff_publish_a_base_model_and_students_use_it(service):
    trained = train_model(service, token="tea")
    answer = publish_model(service, trained["id"])
    assert answer.status_code == 201, answer.text
    entry = answer.json()
    assert (entry["course"], entry["name"], entry["published_by"]) == ("axons", "Base", "tea")
    service.clock.forward(5)
    again = publish_model(service, trained["id"], name="Base 2")
    assert (again.status_code, again.json()) == (200, entry | {"name": "Base 2"}), "no second one, and the same time"
    assert [row["name"] for row in service.ok("GET", "models", token="ana")["published"]] == ["Base 2"]
    assert service.ok("GET", "models", token="ben")["published"] == []
    sha256 = entry["model"]["sha256"]
    assert service.parts.storage.size_bytes(f"courses/axons/blobs/{sha256}") == entry["model"]["size_bytes"]

    ticket = service.ok("GET", f"courses/axons/blobs/{sha256}/ticket", token="ana")
    assert hashlib.sha256(service.fetch(ticket)).hexdigest() == sha256
    service.refused(403, "GET", f"courses/axons/blobs/{sha256}/ticket", token="ben")

    model = {"source": "published", "course": "axons", "sha256": sha256}
    spec = {"kind": "infer", "dataset": service.dataset(), "model": model}
    job = service.ok("POST", "jobs", token="ana", body={"spec": spec})
    refused = spec | {"dataset": service.dataset(token="ben")}
    service.refused(403, "POST", "jobs", token="ben", body={"spec": refused})

    assert service.ok("DELETE", f"courses/axons/models/{sha256}", token="tea") == {}
    service.refused(404, "DELETE", f"courses/axons/models/{sha256}", token="tea")
    service.refused(404, "GET", f"courses/axons/blobs/{sha256}/ticket", token="ana")
    service.refused(404, "POST", "jobs", token="ana", body={"spec": spec})
    claim = service.claim(job["id"])
    files = service.ok("GET", f"runs/{job['id']}/1/inputs", token=claim["token"])["files"]
    (given,) = [file for file in files if file["file"]["path"] == "model.safetensors"]
    assert hashlib.sha256(service.fetch(given["ticket"])).hexdigest() == sha256, "an admitted job keeps its model"


def test_a_training_begins_with_a_published_model(service):
    trained = train_model(service, token="tea")
    sha256 = publish_model(service, trained["id"]).json()["model"]["sha256"]
    base = {"source": "published", "course": "axons", "sha256": sha256}
    job = service.submit(base=base)
    files = service.ok("GET", f"runs/{job['id']}/1/inputs", token=service.claim(job["id"])["token"])["files"]
    (given,) = [file for file in files if file["file"]["path"] == "base.safetensors"]
    assert hashlib.sha256(service.fetch(given["ticket"])).hexdigest() == sha256
    assert not [file for file in files if file["file"]["path"] == "model.safetensors"]

    spec = {"kind": "train", "dataset": service.dataset(), "steps": 3, "base": base}
    answer = service.refused(422, "POST", "jobs", token="ana", body={"spec": spec | {"preset": "standard"}})
    assert "preset 'tiny'" in answer["message"]
    other = {"kind": "train", "dataset": service.dataset(token="ben"), "steps": 3, "base": base}
    service.refused(403, "POST", "jobs", token="ben", body={"spec": other})


def test_no_chains_of_base_models(service):
    root = "5" * 64
    first = service.submit()
    service.succeed(first, {"model/model.safetensors": model_bytes(base_model=root)})
    spec = {"kind": "train", "dataset": service.dataset(), "steps": 3, "base": {"source": "job", "job_id": first["id"]}}
    answer = service.refused(422, "POST", "jobs", token="ana", body={"spec": spec})
    assert "itself trained from a base model" in answer["message"]
    assert root in answer["remedy"]


def test_what_is_no_model_is_not_published(service):
    job = service.submit(token="tea")
    service.succeed(job)
    answer = publish_model(service, job["id"])
    assert answer.status_code == 422
    assert "is not a model of Axonlab" in answer.json()["message"]
    upload = service.upload(model_bytes(seed=7), token="tea")
    body = {"name": "Uploaded", "model": {"source": "upload", "sha256": upload.sha256}}
    assert service.ok("POST", "courses/axons/models", token="tea", body=body)["model"] == upload.model_dump()
    theirs = train_model(service)
    assert publish_model(service, theirs["id"]).status_code == 404, "a student's model is not the teacher's to publish"


def test_staff_publish_images_and_students_train_on_them(service):
    dataset = service.dataset(token="tea")
    body = {"name": "Week 1", "note": "rat", "dataset": dataset}
    entry = service.ok("POST", "courses/axons/images", token="tea", body=body)
    assert (entry["images"], entry["labelled"], entry["classes"]) == (1, 1, ["background", "myelin", "axon"])
    assert service.call("POST", "courses/axons/images", token="tea", body=body).status_code == 200
    assert service.ok("GET", "courses/axons/images", token="ana")["datasets"] == [entry]
    service.refused(403, "GET", "courses/axons/images", token="ben")

    spec = {"kind": "train", "dataset": dataset, "steps": 3}
    job = service.ok("POST", "jobs", token="ana", body={"spec": spec})
    said = service.refused(422, "POST", "jobs", token="cat", body={"spec": spec})
    assert "has not been uploaded" in said["message"], "in two courses, and none named"
    service.ok("POST", "jobs", token="cat", body={"spec": spec | {"course": "axons"}})
    service.refused(422, "POST", "jobs", token="cat", body={"spec": spec | {"course": "nerves"}})
    claim = service.claim(job["id"])
    files = service.ok("GET", f"runs/{job['id']}/1/inputs", token=claim["token"])["files"]
    assert len(files) == 3
    assert {service.fetch(file["ticket"]) for file in files} >= {b"image", b"labels"}
    assert service.parts.storage.size_bytes(f"users/ana/blobs/{dataset}") is None, "nothing was uploaded twice"

    image = blob_of(b"image").model_dump()
    ask = {"blobs": [image]}
    assert service.ok("POST", "uploads", token="ana", body=ask)["tickets"] != [None]
    assert service.ok("POST", "uploads", token="ana", body=ask | {"course": "axons"})["tickets"] == [None]
    service.refused(403, "POST", "uploads", token="ben", body=ask | {"course": "axons"})

    service.ok("DELETE", f"courses/axons/images/{dataset}", token="tea")
    assert service.ok("GET", "courses/axons/images", token="ana")["datasets"] == []
    service.refused(422, "POST", "jobs", token="ana", body={"spec": spec})


def test_a_blob_of_two_published_things_stays_while_one_is(service):
    first = service.dataset(token="tea")
    second = service.dataset(token="tea", labels=False)
    for name, dataset in [("one", first), ("two", second)]:
        service.ok("POST", "courses/axons/images", token="tea", body={"name": name, "dataset": dataset})
    image = blob_of(b"image").sha256
    service.ok("DELETE", f"courses/axons/images/{first}", token="tea")
    service.ok("GET", f"courses/axons/blobs/{image}/ticket", token="ana")
    service.refused(404, "GET", f"courses/axons/blobs/{blob_of(b'labels').sha256}/ticket", token="ana")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "courses/{}/models", {"name": "x", "model": {"source": "upload", "sha256": "0" * 64}}),
        ("POST", "courses/{}/images", {"name": "x", "dataset": "0" * 64}),
        ("DELETE", "courses/{}/models/" + "0" * 64, None),
        ("DELETE", "courses/{}/images/" + "0" * 64, None),
    ],
)
def test_only_staff_of_the_course_publish(shared, method, path, body):
    said = shared.refused(403, method, path.format("axons"), token="ana", body=body)
    assert "custom:axonlab:teach" in said["message"]
    said = shared.refused(403, method, path.format("nerves"), token="tea", body=body)
    assert "not staff of the course nerves" in said["message"]
    shared.refused(401, method, path.format("axons"), body=body)


def test_published_blobs_of_a_large_data_set_are_copied_by_name(service):
    dataset = service.dataset(token="tea")
    service.ok("POST", "courses/axons/images", token="tea", body={"name": "x", "dataset": dataset})
    root = service.parts.storage.root
    assert (root / "users/tea/blobs" / dataset).samefile(root / "courses/axons/blobs" / dataset)
