"""The command line without a hub: the runner's own lifecycle on this machine, on real images."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import tifffile

from axonlab_core.backends.model_header import read_card
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.canonical import decode, encode
from axonlab_core.imaging.read import read_image, read_labels

pytestmark = pytest.mark.acceptance

SAMPLE = Path(__file__).parents[2] / "notebooks" / "data" / "axon_sem"
AXONLAB = Path(sys.executable).with_name("axonlab")
CROP = (slice(100, 356), slice(200, 520))


def axonlab(*arguments, cwd, timeout=240):
    answer = subprocess.run(
        [AXONLAB, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert "Traceback" not in answer.stderr, answer.stderr
    return answer


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Crops of the sample, so that a few steps are enough to say something."""
    folder = tmp_path_factory.mktemp("course")
    for part in ("images", "masks", "new"):
        (folder / part).mkdir()
    with (SAMPLE / "manifest.csv").open() as table:
        rows = list(csv.DictReader(table))
    for row in rows:
        image = read_image(SAMPLE / "images" / f"{row['name']}.png").pixels[CROP]
        labels = read_labels(
            SAMPLE / "masks" / f"{row['name']}.png",
            shape=(int(row["height"]), int(row["width"])),
            palette=AXON_PALETTE,
        )[CROP]
        part = "new" if row["split"] == "test" else "images"
        (folder / part / f"{row['name']}.tif").write_bytes(encode(np.ascontiguousarray(image)))
        (folder / "masks" / f"{row['name']}.tif").write_bytes(encode(np.ascontiguousarray(labels)))
    shutil.copy(SAMPLE / "manifest.csv", folder)
    return folder


@pytest.fixture(scope="module")
def trained(course):
    answer = axonlab(
        "train", "--images", "images", "--labels", "masks", "--manifest", "manifest.csv", "--steps", 12, "--seed", 3,
        "--here", "--out", "model_bundle", cwd=course,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return course / "model_bundle"


@pytest.fixture(scope="module")
def segmented(course, trained):
    answer = axonlab(
        "segment", "new/rat2_data5.tif", "--model", "model_bundle/model/model.safetensors", "--manifest",
        "manifest.csv", "--here", "--out", "masks_bundle", cwd=course,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return course / "masks_bundle"


def steps_of(bundle):
    record = json.loads((bundle / "job.json").read_text())
    return {step["name"]: step for step in record["steps"]}, record


def test_a_training_brings_the_whole_bundle(trained):
    card = read_card(trained / "model" / "model.safetensors")
    assert card.training.steps == 12
    assert card.training.seed == 3
    assert card.palette.names == ("background", "myelin", "axon")
    assert set(card.split.val) == {"rat8_V915"}
    assert "rat2_data5" not in card.split.train + card.split.val
    assert card.split.scope == "other-group"
    for name in ("card.md", "metrics.json", "curves.csv", "split.json"):
        assert (trained / "model" / name).stat().st_size > 0, name
    report = nbformat.read(trained / "executed.ipynb", as_version=4)
    nbformat.validate(report)
    assert not [o for cell in report.cells for o in cell.get("outputs", []) if o.output_type == "error"]


def test_a_training_begins_with_another_ones_model(course, trained):
    answer = axonlab(
        "train", "--images", "images", "--labels", "masks", "--manifest", "manifest.csv", "--steps", 2,
        "--base", "model_bundle/model/model.safetensors", "--here", "--out", "second_bundle", cwd=course,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    base = trained / "model" / "model.safetensors"
    second = course / "second_bundle" / "model" / "model.safetensors"
    assert read_card(second).base_model == hashlib.sha256(base.read_bytes()).hexdigest()
    again = axonlab(
        "train", "--images", "images", "--labels", "masks", "--steps", 2, "--base", second, "--here", "--out", "third",
        cwd=course,
    )  # fmt: skip
    assert again.returncode == 2
    assert "itself trained from a base model" in again.stderr
    assert not (course / "third").exists()


def test_the_record_has_every_step_with_its_time(trained, segmented):
    for bundle in (trained, segmented):
        steps, record = steps_of(bundle)
        names = ["check_environment", "fetch_inputs", "execute", "verify", "release", "upload", "complete"]
        assert list(steps) == names
        assert all(steps[name]["status"] == "done" and steps[name]["duration_s"] >= 0 for name in names[:-1])
        assert record["software"]["torch"]
        assert record["inputs"]
        assert record["peak_memory_bytes"] > 100e6


def test_the_manifest_of_the_bundle_holds(trained):
    listed = dict(reversed(line.split("  ", 1)) for line in (trained / "MANIFEST.sha256").read_text().splitlines())
    files = {path.relative_to(trained).as_posix(): path for path in trained.rglob("*") if path.is_file()}
    assert set(listed) == set(files) - {"MANIFEST.sha256"}
    for name, digest in listed.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name


def test_a_segmentation_brings_labels_of_the_images_size(course, segmented):
    image = decode(course / "new" / "rat2_data5.tif")
    with tifffile.TiffFile(segmented / "masks" / "rat2_data5.labels.ome.tif") as file:
        labels = file.asarray()
        assert file.is_ome
        assert 'PhysicalSizeX="0.093"' in file.ome_metadata
    assert labels.shape == image.shape
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert len(np.unique(labels)) > 1, "even twelve steps tell something from something"
    picture = read_image(segmented / "overlays" / "rat2_data5.overlay.png").pixels
    assert picture.shape[:2] == image.shape


def test_nothing_is_left_beside_the_results(course, trained, segmented):
    assert not [path.name for path in course.iterdir() if path.name.startswith(".")]


def test_evaluate_prints_what_the_arrays_say(course, segmented):
    answer = axonlab("evaluate", "--truth", "masks", "--prediction", "masks_bundle/masks", "--json", cwd=course)
    assert answer.returncode == 0, answer.stderr
    printed = json.loads(answer.stdout)
    truth = decode(course / "masks" / "rat2_data5.tif")
    predicted = tifffile.imread(segmented / "masks" / "rat2_data5.labels.ome.tif")
    for index, name in enumerate(("background", "myelin", "axon")):
        both = np.sum((truth == index) & (predicted == index))
        dice = 2 * both / (np.sum(truth == index) + np.sum(predicted == index))
        assert printed["images"]["rat2_data5"][name]["dice"] == pytest.approx(dice, abs=1e-4)
        assert printed["mean"][name]["dice"] == pytest.approx(dice, abs=1e-4)


def test_a_result_is_never_overwritten(course, trained):
    before = hashlib.sha256((trained / "job.json").read_bytes()).hexdigest()
    answer = axonlab(
        "train", "--images", "images", "--labels", "masks", "--steps", 2, "--here", "--out", "model_bundle", cwd=course
    )
    assert answer.returncode == 2
    assert "not empty" in answer.stderr
    assert hashlib.sha256((trained / "job.json").read_bytes()).hexdigest() == before


def test_labels_that_say_nothing_fail_with_the_remedy(course, tmp_path):
    (tmp_path / "labels").mkdir()
    shutil.copytree(course / "images", tmp_path / "images")
    for image in (tmp_path / "images").iterdir():
        blank = np.full(decode(image).shape, 255, np.uint8)
        (tmp_path / "labels" / image.name).write_bytes(encode(blank))
    answer = axonlab(
        "train", "--images", "images", "--labels", "labels", "--steps", 2, "--here", "--out", "out", cwd=tmp_path
    )
    assert answer.returncode == 2, answer.stderr
    assert "label" in answer.stderr.lower()
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_none_is_refused(course, tmp_path):
    fake = tmp_path / "model.safetensors"
    fake.write_bytes(b"\x80\x04cposix\nsystem\n")
    answer = axonlab("segment", "new/rat2_data5.tif", "--model", fake, "--here", "--out", tmp_path / "out", cwd=course)
    assert answer.returncode == 2, answer.stderr
    assert "safetensors" in answer.stderr.lower()
