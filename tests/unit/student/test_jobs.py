"""The library against the real service over HTTP; a runner's part is played by its own source port."""

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import axonlab
from axonlab.model_source import Model
from axonlab.specs import infer_spec
from axonlab_core.contract.errors import BadInput, Conflict, JobFailed, NotFound, PlatformError, UserError
from axonlab_core.contract.events import MetricEvent, ProgressEvent, StepEvent
from axonlab_core.contract.jobs import UploadedModel
from axonlab_core.contract.states import Reason
from axonlab_core.imaging.canonical import decode

from . import bundles
from .service import bring, claimed_run


@pytest.fixture
def data(grey, classes):
    return axonlab.dataset({"a": grey, "b": grey + 1}, {"a": classes})


def in_background(work):
    """Runs `work` on a thread; `join` gives its exception, if any, to the test."""
    failures = []

    def run():
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join(30)
        assert not thread.is_alive()
        if failures:
            raise failures[0]

    return join


@pytest.fixture
def trained(url, ana, data, tmp_path):
    """A training that a runner has finished."""
    job = ana.train(data, steps=5, name="first", seed=3)
    with claimed_run(url) as run:
        bring(run, bundles.train_bundle(tmp_path / "brought", data.sha256))
    return job


def test_training_is_followed_to_its_model(service, ana, data, tmp_path, capfd):
    url, traffic = service
    job = ana.train(data, steps=5)
    assert (job.state, job.kind) == ("queued", "train")
    assert job.details.spec.dataset == data.sha256
    assert traffic.count("PUT", "storage") == len(data.blob_files())

    def runner():
        with claimed_run(url) as run:
            events = (
                StepEvent(name="execute", status="started"),
                MetricEvent(step=5, values={"loss": 0.25, "val_dice_axon": 0.75}),
                ProgressEvent(done=5, total=5),
            )
            run.send_events(0, events)
            bring(run, bundles.train_bundle(tmp_path / "brought", data.sha256))

    join = in_background(runner)
    result = job.result()
    join()
    shown = capfd.readouterr().err
    for part in ("execute", "5/5 steps", "loss 0.250", "axon 0.75", "succeeded", "Fetching the result"):
        assert part in shown, part
    assert result.card.dataset == data.sha256
    assert result.model.read_bytes() == (tmp_path / "brought/model/model.safetensors").read_bytes()
    assert result.verify() == ()
    assert result.metrics == {"scope": "other-image"}
    assert job.report().read_text() == "{}"


def test_the_second_time_nothing_is_fetched(service, ana, trained):
    _, traffic = service
    result = trained.result()
    fetched = traffic.count("GET", "storage")
    listed = traffic.count("GET", f"jobs/{trained.id}/artifacts")
    assert fetched > 0
    assert trained.result() is result
    assert ana.job(trained.id).result().folder == result.folder
    assert traffic.count("GET", "storage") == fetched
    assert traffic.count("GET", f"jobs/{trained.id}/artifacts") == listed


def test_what_is_there_is_not_sent_again(service, ana, data, trained):
    _, traffic = service
    sent = traffic.count("PUT", "storage")
    assert ana.train(data, steps=1).cancel().state == "cancelled"
    inferring = ana.segment(data, trained)
    assert inferring.details.spec.model.job_id == trained.id
    assert inferring.details.spec.wall_clock_minutes == 60
    assert traffic.count("PUT", "storage") == sent


@pytest.fixture
def segmented(url, ana, data, trained, tmp_path):
    """The result of a segmentation with that model."""
    images = dict.fromkeys("ab", (np.zeros((40, 50), np.uint8), np.full((40, 50), 2, np.uint8)))
    job = ana.segment(data, trained.id)
    with claimed_run(url) as run:
        bring(run, bundles.infer_bundle(tmp_path / "masks", images))
    return job.result()


def test_what_a_segmentation_brings(segmented, capfd):
    assert segmented.names == ("a", "b")
    assert (segmented.labels("a") == 2).all()
    capfd.readouterr()
    axonlab.show_overlay(segmented, "a")
    assert capfd.readouterr().out.strip() == str(segmented.overlay("a"))
    saved = segmented.save("mine")
    assert saved.verify() == ()
    assert (saved.folder / "masks/a.labels.ome.tif").is_file()
    with pytest.raises(UserError, match="not empty"):
        segmented.save("mine")


def test_what_a_segmentation_lacks(segmented):
    with pytest.raises(BadInput, match="Which image"):
        segmented.labels()
    with pytest.raises(BadInput, match="'z'"):
        segmented.overlay("z")
    with pytest.raises(NotFound, match="no labels"):
        _ = segmented.metrics
    with pytest.raises(NotFound, match="training"):
        _ = segmented.model


def test_a_damaged_result_is_fetched_again(service, ana, trained):
    _, traffic = service
    folder = trained.result().folder
    (folder / "model/metrics.json").write_text('{"scope": "changed"}')
    fetched = traffic.count("GET", "storage")
    assert ana.job(trained.id).result().metrics == {"scope": "other-image"}
    assert traffic.count("GET", "storage") > fetched


def test_a_bundle_that_belies_its_manifest_is_refused(url, ana, data, tmp_path):
    job = ana.train(data, steps=1)
    with claimed_run(url) as run:
        bring(run, bundles.train_bundle(tmp_path / "brought", data.sha256), belied="job.json")
    with pytest.raises(PlatformError, match=r"job\.json"):
        job.result()


@pytest.mark.parametrize(
    ("reason", "kind"), [(Reason.bad_input, JobFailed), (Reason.out_of_memory, JobFailed), (Reason.timeout, JobFailed)]
)
def test_a_failed_job_says_why_and_what_to_do(url, ana, data, reason, kind):
    job = ana.train(data, steps=1)
    with claimed_run(url) as run:
        run.fail(reason, "The image a is odd.", [])
    with pytest.raises(kind) as caught:
        job.wait()
    assert reason in caught.value.message
    assert "The image a is odd." in caught.value.message
    assert caught.value.remedy
    assert "The image a is odd." in repr(job)
    with pytest.raises(kind):
        job.result()
    with pytest.raises(NotFound, match="lab report"):
        job.report()


def test_a_cancelled_job(ana, data):
    job = ana.train(data, steps=1)
    job.cancel()
    with pytest.raises(JobFailed, match="was cancelled"):
        job.wait()
    with pytest.raises(JobFailed, match="was cancelled"):
        ana.segment(data, job)


def test_waiting_for_a_while_only(ana, data, capfd):
    job = ana.train(data, steps=1)
    other = ana.train(data, steps=2)
    assert other.wait(timeout_s=0.1).state == "queued"
    assert "queued" in capfd.readouterr().err
    with pytest.raises(Conflict, match="queued"):
        job.result(timeout_s=0)


def test_events_are_told_once_and_end_with_the_job(url, ana, data):
    job = ana.train(data, steps=1)
    with claimed_run(url) as run:
        run.send_events(0, [MetricEvent(step=n, values={"loss": float(n)}) for n in range(3)])
        run.fail(Reason.timeout, "", [])
    numbers = [event.n for event in job.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event.n for event in job.events(after=2)] == numbers[2:]
    assert sum(isinstance(event.body, MetricEvent) for event in job.events()) == 3
    with pytest.raises(JobFailed, match="timeout"):
        job.wait()


def interrupt_when(traffic, start):
    """Sends this process what Ctrl+C sends, once a request for `start` has been seen."""

    def wait_and_interrupt():
        assert traffic.wait_for("GET", start)
        os.kill(os.getpid(), signal.SIGINT)

    return in_background(wait_and_interrupt)


def test_ctrl_c_stops_watching_and_not_the_job(service, ana, data, capfd):
    _, traffic = service
    job = ana.train(data, steps=1)
    join = interrupt_when(traffic, f"jobs/{job.id}/events")
    with pytest.raises(KeyboardInterrupt):
        job.wait()
    join()
    assert f"axonlab.job('{job.id}')" in capfd.readouterr().err
    assert job.refresh().state == "queued"


def test_in_a_notebook_ctrl_c_leaves_no_traceback(service, ana, data, capsys, monkeypatch):
    _, traffic = service
    monkeypatch.setattr("axonlab.job_handle.in_notebook", lambda: True)
    job = ana.train(data, steps=1)
    join = interrupt_when(traffic, f"jobs/{job.id}/events")
    assert job.wait() is job
    join()
    assert "it goes on" in capsys.readouterr().out
    assert job.refresh().details.cancel_requested is False


def test_somebody_elses_job_is_not_there(url, ana, data):
    job = ana.train(data, steps=1)
    assert axonlab.job(job.id).id == job.id
    ben = axonlab.connect(url, "ben-token")
    with pytest.raises(NotFound):
        ben.job(job.id)
    with pytest.raises(NotFound):
        axonlab.job(job.id)  # the latest connection is ben's
    assert ana.job(job.id).id == job.id
    ben.session.close()


def test_a_model_file_is_sent_once(service, ana, data, tmp_path):
    _, traffic = service
    model = bundles.write_model(tmp_path / "m.safetensors", bundles.card())
    before = traffic.count("PUT", "storage")
    ana.segment(data, model).cancel()
    assert traffic.count("PUT", "storage") - before == len(data.blob_files()) + 1
    before = traffic.count("PUT", "storage")
    ana.segment(data, str(model)).cancel()
    assert traffic.count("PUT", "storage") == before


def test_a_training_may_begin_with_a_model(service, ana, data, trained, tmp_path):
    _, traffic = service
    assert ana.train(data, steps=1, base=trained).cancel().details.spec.base.job_id == trained.id
    model = bundles.write_model(tmp_path / "base.safetensors", bundles.card())
    before = traffic.count("PUT", "storage")
    job = ana.train(data, steps=1, base=model).cancel()
    assert job.details.spec.base.source == "upload"
    assert traffic.count("PUT", "storage") - before == 1
    with pytest.raises(NotFound, match="no model"):
        ana.train(data, steps=1, base="gone.safetensors")


def test_what_cannot_be_asked_for_is_said_before_anything_is_sent(service, ana, data, grey, tmp_path):
    _, traffic = service
    model = bundles.write_model(tmp_path / "m.safetensors", bundles.card())
    colour = bundles.write_model(tmp_path / "c.safetensors", bundles.card(channels=3))
    other = axonlab.dataset({"a": grey}, palette=["background", "cell"])
    for said, ask in (
        ("no labels", lambda: ana.train(axonlab.dataset({"a": grey}))),
        ("data set", lambda: ana.train(grey)),
        ("minutes", lambda: ana.train(data, minutes=1, steps=1)),
        ("preset", lambda: ana.train(data, preset="huge")),
        ("seed", lambda: ana.train(data, seed=-1)),
        ("cannot be a parameter's name", lambda: ana.train(data, **{"import os": 1})),
        ("classes", lambda: ana.segment(other, model)),
        ("trained on colour", lambda: ana.segment(grey, colour)),
        ("already", lambda: ana.segment(data, model, manifest="animals.csv")),
        ("not a positive number", lambda: ana.segment(data, model, pixel_size_um=-1.0)),
        ("no model", lambda: ana.segment(grey, "gone.safetensors")),
        ("no job's id", lambda: ana.segment(grey, "x!")),
        ("not a model", lambda: ana.segment(grey, Path(__file__))),
    ):
        with pytest.raises((BadInput, NotFound), match=said):
            ask()
    assert traffic.count("PUT", "storage") == 0
    assert traffic.count("POST", "") == 0


def test_parameters_and_defaults(ana, data):
    spec = ana.train(data, learning_rate=0.01, wall_clock_minutes=7, course=None).details.spec
    assert (spec.minutes, spec.steps, spec.parameters) == (2.0, None, {"learning_rate": 0.01})
    assert spec.wall_clock_minutes == 7


def test_the_limit_of_a_segmentation_grows_with_what_the_model_will_see(data):
    def minutes(edge_px, model_um, **given):
        image = data.manifest.images[0].model_copy(
            update={"width_px": edge_px, "height_px": edge_px, "pixel_size_um": 0.2}
        )
        many = replace(data, manifest=data.manifest.model_copy(update={"images": (image,)}))
        model = Model(UploadedModel(sha256="0" * 64), data.manifest.palette, 1, model_um)
        return infer_spec(many, model, name="", course=None, parameters=given).wall_clock_s / 60

    assert minutes(1000, 0.2) == 60, "an hour at least"
    assert minutes(20_000, 0.2) == 144, "ten minutes, and 20 s for each of 400 megapixels, in whole minutes"
    assert minutes(10_000, 0.1) == minutes(20_000, None), "enlarged twice along each edge"
    assert minutes(20_000, 0.2, wall_clock_minutes=5) == 5
    assert minutes(100_000, 0.1) == 48 * 60, "no more than two days"
    assert minutes(10_000, 0.2, pixel_size_um=0.4) == minutes(20_000, 0.2), "the size that the job alone goes by"


def test_one_job_may_go_by_another_pixel_size(ana, data, tmp_path):
    model = bundles.write_model(tmp_path / "m.safetensors", bundles.card())
    spec = ana.segment(data, model, pixel_size_um=0.25).details.spec
    assert spec.parameters == {"pixel_size_um": 0.25}
    assert spec.dataset == data.sha256, "the data set is the same"


def test_an_upload_that_was_cut_off_goes_on_where_it_was(service, ana, grey, classes):
    _, traffic = service
    data = axonlab.dataset({name: grey + np.uint16(n) for n, name in enumerate("abcdef")}, {"a": classes})
    traffic.puts_left = 3
    with pytest.raises(PlatformError, match="413"):
        ana.train(data, steps=1)
    traffic.puts_left = None
    ana.train(data, steps=1)
    assert traffic.count("PUT", "storage") == len(data.blob_files())


def test_the_bar_is_on_standard_error_only(ana, data, capfd):
    ana.train(data, steps=1)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "Uploading" in shown.err


@pytest.mark.parametrize("name", ["a b+c (1),=@x", "ñandú 25", "日本"])
def test_any_allowed_name_survives_the_way_there_and_back(url, ana, tmp_path, name):
    pixels, labels = np.zeros((40, 50), np.uint8), np.full((40, 50), 2, np.uint8)
    model = bundles.write_model(tmp_path / "m.safetensors", bundles.card())
    job = ana.segment({name: pixels}, model)
    with claimed_run(url) as run:
        bring(run, bundles.infer_bundle(tmp_path / "masks", {name: (pixels, labels)}))
    assert (job.result().labels(name) == 2).all()


def test_a_large_image_goes_up_in_parts_and_arrives_whole(service, ana, tmp_path):
    url, traffic = service
    noise = np.random.default_rng(0).integers(0, 2**16, (3000, 3200), np.uint16)
    model = bundles.write_model(tmp_path / "m.safetensors", bundles.card())
    before = traffic.count("PUT", "storage")
    ana.segment(noise, model)
    assert traffic.count("PUT", "storage") - before > 3
    with claimed_run(url) as run:
        run.fetch_inputs(tmp_path / "inputs", tmp_path, lambda: None)
    image = axonlab.dataset(noise).manifest.images[0].image
    assert (decode(tmp_path / "inputs/blobs" / image.sha256) == noise).all()
