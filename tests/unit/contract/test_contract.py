"""The contract: what is accepted, refused, ignored."""

import importlib
import pkgutil
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

import axonlab_core.contract
from axonlab_core.contract.annotation import Annotation, count_points
from axonlab_core.contract.base import Value
from axonlab_core.contract.dataset import DatasetImage, DatasetManifest
from axonlab_core.contract.errors import (
    AxonlabError,
    BadInput,
    Conflict,
    ErrorAnswer,
    Fenced,
    PlatformError,
    Unavailable,
    UserError,
    error_from_answer,
)
from axonlab_core.contract.events import EventsAnswer, LogEvent
from axonlab_core.contract.jobs import InferSpec, Job, SubmitRequest, TrainSpec, job_spec
from axonlab_core.contract.keys import check_relative_path, escape, result_key
from axonlab_core.contract.kinds import Capabilities, Kind, shortfalls
from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.contract.parameters import check_parameter_name
from axonlab_core.contract.states import TRANSITIONS, JobState, Trigger, next_state
from axonlab_core.contract.tickets import Blob

HASH = "0123456789abcdef" * 4
TRAIN = {"kind": "train", "dataset": HASH, "minutes": 2}


def every_value():
    for module in pkgutil.iter_modules(axonlab_core.contract.__path__, "axonlab_core.contract."):
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, type) and issubclass(thing, Value) and thing is not Value:
                yield thing


@pytest.mark.parametrize("value", sorted(set(every_value()), key=lambda v: v.__name__))
def test_every_value_is_frozen_and_refuses_unknown_fields(value: type[BaseModel]):
    assert value.model_config["frozen"]
    assert value.model_config["extra"] == "forbid"


def test_requests_refuse_what_they_do_not_know_and_answers_ignore_it():
    with pytest.raises(ValidationError, match="minuts"):
        SubmitRequest.model_validate({"spec": {**TRAIN, "minuts": 3}})
    answer = {
        "id": "abcdefgh",
        "owner": "ana",
        "state": "queued",
        "created_at": "2026-01-01T00:00:00Z",
        "colour": "green",
        "spec": {**TRAIN, "from_the_future": True},
    }
    job = Job.read_answer(TypeAdapter(dict).dump_json(answer))
    assert isinstance(job.spec, TrainSpec)
    assert job.kind is Kind.train


def test_the_kind_decides_the_spec():
    assert isinstance(job_spec.validate_python(TRAIN), TrainSpec)
    infer = {"kind": "infer", "dataset": HASH, "model": {"source": "job", "job_id": "abcdefgh"}}
    assert isinstance(job_spec.validate_python(infer), InferSpec)
    with pytest.raises(ValidationError, match="kind"):
        job_spec.validate_python({"kind": "dream", "dataset": HASH})


@pytest.mark.parametrize("budget", [{}, {"minutes": 1, "steps": 1}, {"minutes": 0}, {"steps": -1}, {"minutes": "nan"}])
def test_a_training_has_exactly_one_budget(budget):
    with pytest.raises(ValidationError):
        TrainSpec.model_validate({"dataset": HASH, **budget})


@pytest.mark.parametrize(
    "name", ["x; import os", "X", "_x", "class", "match", "print", "a" * 61, "", "a.b", "a-b", "a b", "ä", "__import__"]
)
def test_parameter_names_that_are_code_or_shadow_something_are_refused(name):
    with pytest.raises(ValueError, match="parameter"):
        check_parameter_name(name)
    with pytest.raises(ValidationError):
        TrainSpec(dataset=HASH, steps=1, parameters={name: 1})


@given(st.from_regex(r"[a-z][a-z0-9_]{0,59}", fullmatch=True))
def test_parameter_names_that_pass_are_identifiers(name):
    try:
        assert check_parameter_name(name).isidentifier()
    except ValueError:
        import builtins
        import keyword

        assert keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name)


def test_the_table_of_states_has_no_way_out_of_an_end():
    for state in JobState:
        if state.is_final:
            assert not [pair for pair in TRANSITIONS if pair[0] is state]
    reached = {JobState.queued, *TRANSITIONS.values()}
    assert reached == set(JobState)


def test_a_trigger_that_means_nothing_is_a_conflict():
    assert next_state(JobState.queued, Trigger.claim) is JobState.running
    with pytest.raises(Conflict, match="succeeded"):
        next_state(JobState.succeeded, Trigger.claim)


@given(st.text(min_size=1), st.text(min_size=1))
def test_escaped_names_are_safe_and_never_meet(one, other):
    assert check_relative_path(f"users/{escape(one)}/blobs")
    assert (escape(one) == escape(other)) == (one == other)


@given(st.text())
def test_a_relative_path_never_leaves_its_folder(path):
    try:
        check_relative_path(path)
    except ValueError:
        return
    from pathlib import PurePosixPath

    parts = PurePosixPath(path).parts
    assert parts
    assert ".." not in parts
    assert not path.startswith(("/", "."))
    assert "\\" not in path


def test_results_of_two_attempts_never_meet():
    assert result_key("abcdefgh", 1, "model/m.safetensors") != result_key("abcdefgh", 2, "model/m.safetensors")
    with pytest.raises(ValueError, match="path"):
        result_key("abcdefgh", 1, "../2/results/job.json")


def test_errors_survive_the_wire():
    for kind in (BadInput, Fenced, Unavailable, PlatformError):
        error = kind("what", remedy="then")
        back = error_from_answer(kind.status, error.answer())
        assert type(back) is kind
        assert str(back) == "what then"
    assert type(error_from_answer(404, ErrorAnswer(error="from_the_future", message="m"))).__name__ == "NotFound"
    assert isinstance(error_from_answer(500, ErrorAnswer(error="?", message="m")), PlatformError)
    assert isinstance(error_from_answer(418, ErrorAnswer(error="?", message="m")), UserError)


def test_codes_of_errors_differ():
    def tree(root):
        return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]

    named = [kind for kind in tree(AxonlabError) if kind.__module__ == "axonlab_core.contract.errors"]
    codes = [kind.code for kind in named]
    assert len(set(codes)) == len(codes)


def test_events_of_the_future_are_left_out_and_broken_ones_are_not():
    event = {"n": 1, "at": "2026-01-01T00:00:00Z", "attempt": 1, "body": {"type": "dance"}}
    log = {"n": 2, "at": "2026-01-01T00:00:00Z", "attempt": 1, "body": {"type": "log", "stream": "stdout", "text": "x"}}
    answer = {"events": [event, log], "next_after": 2, "state": "running"}
    read = EventsAnswer.read_answer(TypeAdapter(dict).dump_json(answer))
    assert [entry.body for entry in read.events] == [LogEvent(stream="stdout", text="x")]
    answer["events"][1]["body"]["text"] = 3
    with pytest.raises(ValidationError):
        EventsAnswer.read_answer(TypeAdapter(dict).dump_json(answer))


def test_naive_times_are_refused():
    with pytest.raises(ValidationError):
        Job(
            id="abcdefgh",
            owner="a",
            spec=job_spec.validate_python(TRAIN),
            state="queued",
            created_at=datetime(2026, 1, 1),  # noqa: DTZ001 (naive on purpose)
        )
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert Job(
        id="abcdefgh", owner="a", spec=job_spec.validate_python(TRAIN), state="queued", created_at=moment
    ).created_at.tzinfo


def image(name, channels=1):
    blob = Blob(sha256=HASH, size_bytes=1)
    return DatasetImage(name=name, image=blob, width_px=2, height_px=2, channels=channels, dtype="uint8")


def test_a_manifest_is_named_by_what_it_says():
    one = DatasetManifest(palette=AXON_PALETTE, images=(image("a"),))
    same = DatasetManifest.model_validate_json(one.canonical_json())
    assert same.content_sha256() == one.content_sha256()
    assert DatasetManifest(palette=AXON_PALETTE, images=(image("b"),)).content_sha256() != one.content_sha256()


@pytest.mark.parametrize("names", [("a", "a"), ("Rat", "rat")])
def test_two_images_never_share_a_name(names):
    with pytest.raises(ValidationError, match="share the name"):
        DatasetManifest(palette=AXON_PALETTE, images=tuple(image(name) for name in names))


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", "", "a\\b", "a\x00", "x" * 101, "a.", "a "])
def test_names_that_are_no_file_names_are_refused(name):
    with pytest.raises(ValidationError, match="image's name"):
        image(name)


@pytest.mark.parametrize("name", ["rat2_data5", "Überblick (2)", "slide 3, left", "a", "x=1+2"])
def test_names_that_people_use_are_taken(name):
    assert image(name).name == name


def test_palettes_find_classes_whatever_their_case():
    assert AXON_PALETTE.index("Axon") == 2
    assert len(set(Palette.from_names([f"c{i}" for i in range(8)]).rgb())) == 8
    with pytest.raises(ValidationError, match="share a name"):
        Palette.from_names(["a", "A"])


def machine(**given):
    base = {
        "name": "m",
        "kinds": ("train", "infer"),
        "device": "cpu",
        "memory_bytes": 8e9,
        "disk_bytes": 9e9,
        "cores": 2,
    }
    return Capabilities.model_validate({**base, **given})


def test_what_a_machine_lacks_is_said_with_both_numbers():
    assert not shortfalls(Kind.train, machine())
    (short,) = shortfalls(Kind.train, machine(memory_bytes=2 * 2**30))
    assert "2.0 GiB" in short
    assert "3.7 GiB" in short
    t4 = machine(device="cuda", gpu_memory_bytes=15 * 2**30, memory_bytes=56e9, disk_bytes=120e9)
    assert not shortfalls(Kind.train, t4)
    small = t4.model_copy(update={"gpu_memory_bytes": 8 * 2**30})
    assert shortfalls(Kind.train, small)
    assert not shortfalls(Kind.infer, small)
    assert "infer jobs only" in shortfalls(Kind.train, machine(kinds=("infer",)))[0]


def test_an_annotation_keeps_what_other_programs_wrote():
    raw = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": "PathAnnotationObject",
                "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 0]]], "plane": 1},
                "properties": {"objectType": "annotation", "classification": {"name": "axon", "color": [255, 0, 0]}},
            }
        ],
    }
    annotation = Annotation.model_validate(raw)
    again = annotation.model_dump(mode="json")
    assert again["features"][0]["properties"]["classification"]["color"] == [255, 0, 0]
    assert count_points(annotation.features[0].geometry) == 4
    raw["features"][0]["geometry"]["coordinates"][0][1][0] = float("nan")
    with pytest.raises(ValidationError, match="finite"):
        Annotation.model_validate(raw)
