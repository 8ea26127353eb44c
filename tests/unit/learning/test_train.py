import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from axonlab_core.backends.model_header import read_card
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import CheckpointEvent, MetricEvent, ProgressEvent, WarningEvent
from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.learning import lab_report
from axonlab_core.learning.model_file import load_model
from axonlab_core.learning.train import train

SMALL = {"batch": 2, "tile_px": 48, "threads": 1}


def quiet(event):
    return None


def weights(workspace):
    return load_file(workspace / "results" / "model" / "model.safetensors")


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_it_writes_model_scores_curve_split_and_card(make_workspace, two_animals):
    workspace, events = make_workspace(two_animals), []
    result = train(workspace, steps=10, report=events.append, job_id="job00001", **SMALL)

    model = workspace / "results" / "model"
    assert {path.name for path in model.iterdir()} == {
        "model.safetensors", "metrics.json", "curves.csv", "split.json", "card.md",
    }  # fmt: skip
    card = read_card(model / "model.safetensors")
    assert card == result.card == load_model(model / "model.safetensors").card
    assert (card.split.train, card.split.val, card.split.test) == (("rat1",), ("rat3",), ("rat2",))
    assert card.split.scope == card.scores.scope == "other-group"
    assert card.training.steps == 10
    assert card.input.pixel_size_um == 0.18
    assert card.job_id == "job00001"
    assert set(card.scores.model) == set(card.scores.otsu) == set(AXON_PALETTE.names)
    assert sorted(card.otsu_dark_to_bright) == [0, 1, 2]
    assert json.loads((model / "metrics.json").read_text())["best_step"] == card.scores.best_step
    assert "rat1" in (model / "card.md").read_text()
    with (model / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["step"] == "10"
    assert 0 <= float(rows[-1]["val_dice_axon"]) <= 1

    assert [e for e in events if isinstance(e, ProgressEvent)][-1].done == 10
    saved = [e for e in events if isinstance(e, CheckpointEvent)]
    assert (workspace / "checkpoints" / saved[-1].file).is_file()


def test_images_set_aside_for_testing_are_not_even_read(make_workspace, two_animals):
    with_test = make_workspace(two_animals)
    manifest = json.loads((with_test / "inputs" / "dataset.json").read_text())
    (set_aside,) = (image for image in manifest["images"] if image["name"] == "rat2")
    for blob in (set_aside["image"], set_aside["labels"]):
        (with_test / "inputs" / "blobs" / blob["sha256"]).unlink()
    train(with_test, steps=2, report=quiet, **SMALL)
    assert read_card(with_test / "results" / "model" / "model.safetensors").split.test == ("rat2",)


def test_it_learns(make_workspace, two_animals):
    """Not much in 40 steps of small tiles, but bright myelin is told from the rest."""
    result = train(make_workspace(two_animals), steps=40, report=quiet, **SMALL)
    losses = [point["loss"] for point in result.curve]
    assert losses[-1] < 0.8 * losses[0]
    assert result.card.scores.model["myelin"].dice > 0.6


def test_a_checkpoint_of_another_training_is_not_gone_on_from(make_workspace, two_animals, tmp_path):
    one, other = (make_workspace(two_animals, root=tmp_path / name) for name in ("one", "other"))
    train(one, steps=4, seed=1, report=quiet, **SMALL)
    (one / "checkpoints").rename(other / "checkpoints")
    events = []
    train(other, steps=4, seed=2, report=events.append, **SMALL)
    assert any("belongs to another training" in e.message for e in events if isinstance(e, WarningEvent))
    assert not same(weights(one), weights(other))


def test_a_damaged_checkpoint_costs_the_time_since_the_one_before(make_workspace, two_animals, tmp_path):
    through, damaged = (make_workspace(two_animals, root=tmp_path / name) for name in ("through", "damaged"))
    train(through, steps=4, report=quiet, checkpoint_every_s=0.001, **SMALL)
    train(damaged, steps=4, report=quiet, checkpoint_every_s=0.001, **SMALL)
    newest = max((damaged / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    events = []
    train(damaged, steps=4, report=events.append, **SMALL)
    assert any("passed over" in e.message for e in events if isinstance(e, WarningEvent))
    assert same(weights(through), weights(damaged))


def test_a_budget_in_minutes_is_kept(make_workspace, two_animals):
    workspace, events = make_workspace(two_animals), []
    result = train(workspace, minutes=0.06, report=events.append, **SMALL)
    assert 0.06 * 60 / 3 < result.card.training.seconds < 0.06 * 60 + 2
    assert result.card.training.steps > 4
    totals = [e.total for e in events if isinstance(e, ProgressEvent)]
    assert totals == sorted(totals, reverse=True)  # once measured, the number of steps can only fall


def test_on_a_machine_that_becomes_slower_the_budget_is_kept_and_the_training_ends_well(make_workspace, two_animals):
    """A clock of which every look takes a hundredth of a second, and twice as long from the fortieth step on."""
    events, now = [], [0.0]

    def clock():
        late = any(isinstance(event, MetricEvent) and event.step >= 40 for event in events)
        now[0] += 0.02 if late else 0.01
        return now[0]

    result = train(make_workspace(two_animals), minutes=0.08, clock=clock, report=events.append, **SMALL)
    (warning,) = [e.message for e in events if isinstance(e, WarningEvent)]
    assert "slower" in warning
    training = result.card.training
    assert training.steps < max(e.total for e in events if isinstance(e, ProgressEvent))
    assert training.seconds < 0.08 * 60 * 1.1
    assert result.curve[-1]["step"] == training.steps
    assert "val_dice_axon" in result.curve[-1]
    assert lab_report.training_curve(result).data


def test_an_unknown_pixel_size_is_said_and_images_are_taken_as_they_are(make_workspace, two_animals):
    two_animals["rat1"][2]["pixel_size_um"] = None
    events = []
    result = train(make_workspace(two_animals), steps=2, report=events.append, **SMALL)
    assert result.card.input.pixel_size_um is None
    assert any("pixel size" in e.message for e in events if isinstance(e, WarningEvent))


def test_one_sparsely_labelled_image_is_enough(make_workspace, sample):
    pixels, labels, size = sample["rat3_data10"]
    pixels, labels = pixels[:300, :260], labels[:300, :260].copy()
    labels[np.random.default_rng(0).random(labels.shape) > 0.03] = 255
    events = []
    result = train(
        make_workspace({"only": (pixels, labels, {"pixel_size_um": size})}), steps=3, report=events.append, **SMALL
    )
    assert result.card.split.scope == "same-image"
    assert result.card.training.labelled_fraction == pytest.approx(0.03, rel=0.1)
    assert result.card.scores.model["axon"].dice is not None
    assert any("same images" in e.message for e in events if isinstance(e, WarningEvent))


def test_labels_in_one_place_are_trained_on_and_not_scored(make_workspace, sample):
    pixels, labels, size = sample["rat3_data10"]
    only = np.full_like(labels[:200, :200], 255)
    only[90:110, 90:110] = labels[90:110, 90:110]
    result = train(
        make_workspace({"only": (pixels[:200, :200], only, {"pixel_size_um": size})}), steps=2, report=quiet, **SMALL
    )
    assert result.card.split.val == ()
    assert all(score.dice is None for score in result.card.scores.model.values())


def test_colour_and_16_bit_images_are_trained_on(make_workspace, two_animals):
    def coloured(pixels):
        return np.stack([pixels, 255 - pixels, pixels // 2], axis=2).astype(np.uint16) * 200

    images = {name: (coloured(pixels), labels, fields) for name, (pixels, labels, fields) in two_animals.items()}
    assert train(make_workspace(images), steps=2, report=quiet, **SMALL).card.input.channels == 3


def with_labels(images, change):
    return {name: (pixels, change(labels), fields) for name, (pixels, labels, fields) in images.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda labels: np.full_like(labels, 255), "No pixel of the training images has a label"),
        (lambda _: None, "No pixel of the training images has a label"),
        (np.ones_like, "All labelled pixels are 'myelin'"),
        (lambda labels: labels + 2, r"hold the values \[3, 4\]"),
        (lambda labels: labels[1:], "Give each image a label image of its own size"),
    ],
)
def test_labels_that_cannot_be_learned_from_are_refused(make_workspace, two_animals, change, said):
    with pytest.raises(BadInput, match=said) as caught:
        train(make_workspace(with_labels(two_animals, change)), steps=2, report=quiet, **SMALL)
    assert caught.value.remedy


def test_images_that_are_too_small_or_too_differently_magnified_are_refused(make_workspace, two_animals, tmp_path):
    pixels, labels, fields = two_animals["rat1"]
    small = {**two_animals, "rat1": (pixels[:20], labels[:20], fields)}
    with pytest.raises(BadInput, match="at least 32 px"):
        train(make_workspace(small, root=tmp_path / "small"), steps=2, report=quiet, **SMALL)
    two_animals["rat3"][2]["pixel_size_um"] = 0.001
    with pytest.raises(BadInput, match=r"0.001 µm/px and the model works at 0.18 µm/px"):
        train(make_workspace(two_animals, root=tmp_path / "far"), steps=2, report=quiet, **SMALL)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either minutes or steps"),
        ({"minutes": 1, "steps": 1}, "either minutes or steps"),
        ({"steps": 1, "preset": "huge"}, "no preset 'huge'"),
        ({"steps": 1, "tile_px": 50}, "multiple of 16"),
        ({"steps": 1, "batch": 0}, "batch"),
        ({"steps": 1, "learning_rate": -1}, "learning_rate"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, options, said):
    with pytest.raises(BadInput, match=said):
        train(tmp_path, report=quiet, **options)


def test_a_palette_of_two_classes_with_any_names(make_workspace, two_animals):
    images = with_labels(two_animals, lambda labels: (labels == 2).astype(np.uint8))
    workspace = make_workspace(images, palette=Palette.from_names(["other", "nerve fibre"]))
    result = train(workspace, steps=2, report=quiet, **SMALL)
    assert set(result.card.scores.model) == {"other", "nerve fibre"}
