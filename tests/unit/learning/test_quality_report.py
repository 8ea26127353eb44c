"""The report of real, small results: all of it in one file, nothing from elsewhere, and plain words."""

import base64
import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import imagecodecs
import numpy as np
import pytest

from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.learning.quality_report import INVENTED, MISSED, MIXED_UP, difference, training_page
from axonlab_core.learning.segment import segment
from axonlab_core.learning.train import train

MARKUP = Palette.from_names(("background", "sheath", "axon"))


class Reader(HTMLParser):
    """Addresses, tags and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.addresses, self.tags, self.words = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words.append(data)


def read(workspace):
    page = (workspace / "results" / "qc" / "report.html").read_text(encoding="utf-8")
    reader = Reader(page)
    assert all(address.startswith("data:image/jpeg;base64,") for address in reader.addresses)
    assert not {"script", "link", "iframe", "object", "form"} & set(reader.tags)
    assert "url(" not in page
    assert "default-src 'none'" in page
    return reader, re.sub(r"\s+", " ", " ".join(reader.words))


@pytest.fixture
def sparse(make_workspace, two_animals, sample):
    """One image with labels in two corners, one without, of unknown size, and one that is set aside."""
    pixels, labels = (part[100:356, 100:356].copy() for part in sample["rat3_data10"][:2])
    some = np.full_like(labels, 255)
    for box in (np.s_[:90, :90], np.s_[180:, 180:]):
        some[box] = labels[box]
    some[some == 2] = 255
    test = (two_animals["rat2"][0], two_animals["rat2"][1], {"split": "test", "group": "test"})
    other = (sample["rat1_data1"][0][:300, :400].copy(), None, {})
    return make_workspace({"few": (pixels, some, {}), "none": other, "test": test}, palette=MARKUP)


def test_a_training_from_few_labels(sparse):
    events = []
    result = train(sparse, steps=4, batch=2, tile_px=48, threads=1, report=events.append)
    reader, words = read(sparse)
    for said in (
        "other parts of the images it was trained on",
        "pixel size of some training images is unknown",
        "No pixel of axon was labelled for training",
        "What to annotate next",
        "background 0.",
    ):
        assert said in words, said
    assert result.doubtful, "the model knows little and there is much without labels"
    for place in result.doubtful:
        assert place.image in ("few", "none"), "what is set aside for testing is not looked at"
        frame = place.frame
        assert f"x {frame.left} to {frame.right}, y {frame.top} to {frame.bottom}" in words
        height, width = (256, 256) if place.image == "few" else (300, 400)
        assert 0 <= frame.top < frame.bottom <= height
        assert 0 <= frame.left < frame.right <= width
    pictures = [imagecodecs.jpeg_decode(base64.b64decode(address.partition(",")[2])) for address in reader.addresses]
    assert all(min(picture.shape[:2]) >= 16 for picture in pictures)
    assert len(pictures) == 4 * len(result.examples) + 2 * len(result.doubtful)
    assert "µm" not in words.replace("0.5 µm", ""), "no length where the size of a pixel is not known"
    card = (sparse / "results" / "model" / "card.md").read_text()
    assert "not known" in card
    assert "same-image" in card
    assert "No pixel of axon was labelled" in card
    metrics = json.loads((sparse / "results" / "model" / "metrics.json").read_text())
    assert metrics["scope"] == "same-image"
    assert metrics["images"]["few"]["scope"] == "same-image"


def test_a_training_with_everything_labelled(make_workspace, two_animals):
    workspace = make_workspace(two_animals)
    result = train(workspace, steps=4, batch=2, tile_px=48, threads=1, report=[].append)
    _, words = read(workspace)
    assert result.doubtful == []
    for said in ("other animals (groups)", "rat3", "All scores come from a single image", "another animal", "0.18 µm"):
        assert said in words, said
    assert {"weakest"} <= set(result.examples)
    scores = result.card.scores
    assert f"{scores.model['axon'].dice:.2f}" in words
    assert scores.images["rat3"].model == scores.model, "there is one image"
    assert [entry.iou for entry in scores.model["axon"].objects] == [0.3, 0.5]
    assert set(result.card.split.sha256) == {"rat1", "rat3"}
    assert result.card.split.groups["rat1"] == "rat1_data1"
    assert result.card.training.labelled_px["axon"] > 0
    odd = dataclasses.replace(result, card=result.card.model_copy(update={"licence": "<b>mine</b>"}))
    assert "&lt;b&gt;mine&lt;/b&gt;" in training_page(odd), "what is put in is text"


def test_a_segmentation(make_workspace, two_animals, small_model, sample, tmp_path):
    unlabelled = (sample["rat2_data5"][0][:200, :300].copy(), None, {})
    workspace = make_workspace(
        {"rat1": two_animals["rat1"], "rat2": two_animals["rat2"], "new": unlabelled}, root=tmp_path / "segmentation"
    )
    shutil.copy(small_model, workspace / "inputs")
    result = segment(workspace, threads=1, report=[].append)
    _, words = read(workspace)
    assert result.metrics["scope"] == {"rat1": "seen-in-training", "rat2": "other-group"}
    for said in (
        "in 3 images",
        "2 of 3",
        "has learned from rat1",
        "seen-in-training",
        "pixel size of 'new' is unknown",
    ):
        assert said in words, said
    assert {place.image for place in result.doubtful} == {"new"}, "the others are labelled"


def test_colours_say_what_is_missed_invented_and_mixed_up():
    truth = np.array([[0, 1, 2, 1, 255, 0]], np.uint8)
    labels = np.array([[1, 0, 1, 1, 1, 0]], np.uint8)
    picture = np.full((1, 6, 3), 100, np.uint8)
    (row,) = difference(picture, labels, truth).tolist()
    assert row == [list(INVENTED), list(MISSED), list(MIXED_UP), [100] * 3, [45] * 3, [100] * 3]
    assert AXON_PALETTE.names[0] == "background"
