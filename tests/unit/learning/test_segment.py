import csv
import json
import os
import shutil
import signal

import imagecodecs
import numpy as np
import pytest
import tifffile

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import ProgressEvent, WarningEvent
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.label_tiff import read_label_tiff
from axonlab_core.imaging.metrics import agreement
from axonlab_core.learning.segment import segment
from axonlab_core.learning.stopping import Interrupted

NAMES = AXON_PALETTE.names


def quiet(event):
    return None


@pytest.fixture
def run(make_workspace, small_model, tmp_path):
    def prepare(images):
        root = make_workspace(images, root=tmp_path / "segmentation")
        shutil.copy(small_model, root / "inputs")
        return root

    return prepare


def test_it_writes_labels_pictures_areas_and_scores(run, two_animals, sample):
    pixels, _, size = sample["rat2_data5"]
    unlabelled = (pixels[:90, :150], None, {"pixel_size_um": size})
    workspace, events = run({"rat2": two_animals["rat2"], "no labels": unlabelled}), []
    result = segment(workspace, threads=1, report=events.append)

    results = workspace / "results"
    labels = read_label_tiff(results / "masks" / "rat2.labels.ome.tif")
    assert labels.shape == two_animals["rat2"][0].shape
    with tifffile.TiffFile(results / "masks" / "rat2.labels.ome.tif") as file:
        assert 'PhysicalSizeX="0.093"' in file.ome_metadata
    for kind in ("overlay", "contours"):
        picture = imagecodecs.png_decode((results / "overlays" / f"no labels.{kind}.png").read_bytes())
        assert picture.shape == (90, 150, 3)

    with (results / "tables" / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["image"] == "rat2"]
    assert [int(row["area_px"]) for row in rows] == np.bincount(labels.ravel(), minlength=3).tolist()
    assert float(rows[2]["area_um2"]) == pytest.approx((labels == 2).sum() * 0.093**2, abs=1e-3)

    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics == result.metrics
    truth = two_animals["rat2"][1]
    expected = agreement(truth, labels, 3).scores(NAMES)
    assert metrics["images"] == {"rat2": {name: expected[name].model_dump(mode="json") for name in NAMES}}
    assert metrics["mean"]["axon"] == metrics["images"]["rat2"]["axon"]
    assert set(metrics["otsu"]["images"]["rat2"]) == set(NAMES)

    told = [event for event in events if isinstance(event, ProgressEvent)]
    assert told[-1].done == told[-1].total


def test_without_labels_nothing_is_scored(run, two_animals):
    pixels, _, fields = two_animals["rat2"]
    workspace = run({"rat2": (pixels, None, fields)})
    assert segment(workspace, threads=1, report=quiet).metrics == {}
    assert not (workspace / "results" / "metrics.json").exists()


def test_the_pixel_size_counts(run, two_animals):
    """Half the pixels with twice the size is the same picture to the model, almost."""
    pixels, _, fields = two_animals["rat2"]
    coarse = (pixels[::2, ::2], None, {**fields, "pixel_size_um": 2 * fields["pixel_size_um"]})
    workspace = run({"fine": (pixels, None, fields), "coarse": coarse})
    segment(workspace, threads=1, report=quiet)
    fine, half = (read_label_tiff(workspace / f"results/masks/{n}.labels.ome.tif") for n in ("fine", "coarse"))
    assert half.shape == (64, 64)
    assert (fine[::2, ::2] == half).mean() > 0.7


@pytest.mark.parametrize(("size", "said"), [(None, "unknown"), (0.05, "far from what the model has seen")])
def test_a_doubtful_pixel_size_is_said(run, two_animals, size, said):
    pixels, _, fields = two_animals["rat2"]
    events = []
    segment(run({"rat2": (pixels, None, {**fields, "pixel_size_um": size})}), threads=1, report=events.append)
    assert any(said in event.message for event in events if isinstance(event, WarningEvent))


@pytest.mark.parametrize("size", [0.01, 2.0])
def test_an_impossible_pixel_size_is_refused_with_the_numbers(run, two_animals, size):
    pixels, _, fields = two_animals["rat2"]
    with pytest.raises(BadInput, match=f"{size:g} µm/px and the model works at 0.18 µm/px"):
        segment(run({"rat2": (pixels, None, {**fields, "pixel_size_um": size})}), threads=1, report=quiet)


def test_a_colour_image_is_refused_by_a_grey_model(run, two_animals):
    pixels, _, fields = two_animals["rat2"]
    with pytest.raises(BadInput, match="trained on grey images"):
        segment(run({"rat2": (np.stack([pixels] * 3, axis=2), None, fields)}), threads=1, report=quiet)


def test_a_foreign_model_and_a_missing_data_set_are_refused(run, two_animals, tmp_path):
    workspace = run({"rat2": two_animals["rat2"]})
    (workspace / "inputs" / "model.safetensors").write_bytes(b"PK\x03\x04 a pickle in a zip")
    with pytest.raises(BadInput, match="not a model of Axonlab"):
        segment(workspace, threads=1, report=quiet)
    with pytest.raises(BadInput, match=r"dataset\.json"):
        segment(tmp_path / "nowhere", threads=1, report=quiet)


def test_it_stops_between_tiles(run, two_animals, sample):
    pixels, _, size = sample["rat2_data5"]
    large = (pixels[:300, :300], None, {"pixel_size_um": size})
    events = []

    def report(event):
        events.append(event)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="in image 1 of 2"):
        segment(run({"rat2": large, "other": large}), tile_px=64, threads=1, report=report)
    assert len(events) == 1


def test_a_job_may_go_by_another_pixel_size(run, two_animals):
    pixels, _, fields = two_animals["rat2"]
    workspace, events = run({"rat2": (pixels, None, fields)}), []
    result = segment(workspace, pixel_size_um=0.18, threads=1, report=events.append)
    with tifffile.TiffFile(workspace / "results" / "masks" / "rat2.labels.ome.tif") as file:
        assert 'PhysicalSizeX="0.18"' in file.ome_metadata
    axon = next(row for row in result.areas if row["class"] == "axon")
    assert axon["area_um2"] == pytest.approx(axon["area_px"] * 0.18**2, abs=1e-3)
    with pytest.raises(BadInput, match="pixel_size_um is -1"):
        segment(workspace, pixel_size_um=-1, threads=1, report=quiet)
    with pytest.raises(BadInput, match=r"resampled 11\.1 times"):
        segment(workspace, pixel_size_um=2.0, threads=1, report=quiet)


def test_without_a_pixel_size_there_is_no_length_anywhere(run, two_animals):
    pixels, _, fields = two_animals["rat2"]
    workspace = run({"rat2": (pixels, None, {**fields, "pixel_size_um": None})})
    result = segment(workspace, threads=1, report=quiet)
    assert "area_um2" not in result.areas[0]
    assert "um2" not in (workspace / "results" / "tables" / "summary.csv").read_text()
    assert "µm²" not in (workspace / "results" / "qc" / "report.html").read_text(encoding="utf-8")
    with tifffile.TiffFile(workspace / "results" / "masks" / "rat2.labels.ome.tif") as file:
        assert "PhysicalSize" not in file.ome_metadata
