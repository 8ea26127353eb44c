"""A result bundle in a folder, whoever put it there."""

import json

import numpy as np
import pytest

import axonlab
from axonlab.result import read_sums, write_folder
from axonlab_core.backends.transfer import describe
from axonlab_core.contract.errors import NotFound, PlatformError, UserError

from . import bundles

SCORE = {"background": {"dice": 0.75, "iou": 0.6}, "axon": {"dice": None, "iou": None}}
LOWER = {"background": {"dice": 0.5, "iou": 0.3}, "axon": {"dice": 0.25, "iou": 0.1}}
METRICS = {"images": {"a": SCORE}, "mean": SCORE, "otsu": {"images": {"a": LOWER}, "mean": LOWER}}


def sealed(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{describe(path).sha256}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / "MANIFEST.sha256").write_text("".join(lines))
    return axonlab.Result(folder)


@pytest.fixture
def segmented(tmp_path):
    images = {"a": (np.zeros((20, 30), np.uint8), np.ones((20, 30), np.uint8))}
    return sealed(bundles.infer_bundle(tmp_path / "seg", images, METRICS))


@pytest.fixture
def trained(tmp_path):
    return sealed(bundles.train_bundle(tmp_path / "trained", "0" * 64))


def test_scores_beside_otsus(segmented, trained):
    assert segmented.scores.rows() == [
        ("background", "0.750", "0.500", "–", "–"),
        ("axon", "–", "0.250", "–", "–"),
    ]
    assert "Measured on a:" in str(segmented.scores)
    assert ">0.750</td>" in segmented.scores._repr_html_()
    assert trained.scores.model["axon"].dice == 0.9
    assert "same animals" in str(trained.scores)


def test_what_there_is(segmented, trained):
    assert segmented.labels().sum() == 600
    assert segmented.overlay() == segmented.overlay("a")
    assert segmented.overlay().read_bytes().startswith(b"\x89PNG")
    assert trained.card.palette.names == ("background", "myelin", "axon")
    assert "myelin" in repr(trained)
    assert "1 segmented (a)" in repr(segmented)
    assert json.dumps(trained.summary())


def test_verify_names_what_was_changed_or_lost(segmented):
    assert segmented.verify() == ()
    (segmented.folder / "metrics.json").write_text("{}")
    segmented.overlay().unlink()
    assert set(segmented.verify()) == {"metrics.json", "overlays/a.overlay.png"}


def test_a_folder_without_a_bundle(tmp_path):
    with pytest.raises(NotFound, match="no result bundle"):
        axonlab.Result(tmp_path)


@pytest.mark.parametrize("line", ["no hash", f"{'0' * 64}  ../escape", f"{'0' * 64}  /etc/passwd"])
def test_a_manifest_may_name_files_of_the_bundle_only(tmp_path, line):
    (tmp_path / "MANIFEST.sha256").write_text(line)
    with pytest.raises(PlatformError, match="line 1"):
        read_sums(tmp_path / "MANIFEST.sha256")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def fill(beside):
        (beside / "half").write_text("")
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        write_folder(tmp_path / "new", fill)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken_and_a_full_one_is_not(segmented, tmp_path):
    (tmp_path / "empty").mkdir()
    saved = segmented.save(tmp_path / "empty")
    assert saved.verify() == ()
    (saved.folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        segmented.save(tmp_path / "empty")
    assert (saved.folder / "notes.txt").read_text() == "mine"


def test_a_notebook_shows_how_to_get_at_what_there_is(segmented, trained):
    for result, offered in ((segmented, "axonlab.show_overlay(result)"), (trained, "result.model")):
        shown = result._repr_html_()
        for part in (offered, "result.report", str(result.folder)):
            assert part in shown
