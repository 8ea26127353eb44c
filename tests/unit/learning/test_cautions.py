"""Each caution where it belongs, and none where all is well."""

import pytest

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.model_card import ClassScores, ModelCard, ObjectScores
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.learning.cautions import cautions

NAMES = AXON_PALETTE.names


def score(dice, f1=0.8, labelled_px=5000):
    found = ObjectScores(iou=0.5, true_positives=8, false_positives=2, false_negatives=2, f1=f1, ap=0.5)
    return ClassScores(
        dice=dice, iou=None if dice is None else dice / (2 - dice), labelled_px=labelled_px, objects=(found,)
    )


def card(**changes):
    fields = {
        "preset": "tiny",
        "palette": AXON_PALETTE,
        "input": {"channels": 1, "normalisation": {}, "pixel_size_um": changes.pop("pixel_size_um", 0.1)},
        "training": {
            "steps": 100, "seconds": 1, "batch": 2, "tile_px": 64, "learning_rate": 0.1, "seed": 0, "device": "cpu",
            "labelled_fraction": 1, "labelled_px": changes.pop("labelled_px", dict.fromkeys(NAMES, 10_000)),
        },
        "dataset": "0" * 64,
        "split": {"train": ["a"], "val": changes.pop("val", ["b", "c"]), "scope": "other-group"},
        "scores": {
            "scope": changes.pop("scope", "other-group"),
            "model": changes.pop("model", dict.fromkeys(NAMES, score(0.9))),
            "otsu": changes.pop("otsu", dict.fromkeys(NAMES, score(0.7))),
            "best_step": changes.pop("best_step", 80),
        },
        "created_at": utc_now(),
        "software": {},
    }  # fmt: skip
    assert not changes
    return ModelCard.model_validate(fields)


def curve(*steps):
    return [{"step": float(step), "loss": 0.5, "val_dice_axon": 0.8} for step in steps]


CURVE = curve(20, 40, 60, 80, 100)


def test_nothing_is_said_where_all_is_well():
    assert cautions(card(), CURVE) == []
    assert cautions(card()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"val": []}, "its quality is not measured"),
        ({"scope": "same-image"}, "say little about other images"),
        ({"val": ["b"]}, "a single image, b"),
        ({"pixel_size_um": None}, "pixel size of some training images is unknown"),
        ({"labelled_px": {"background": 9000, "myelin": 9000, "axon": 0}}, "No pixel of axon was labelled"),
        ({"labelled_px": {"background": 9000, "myelin": 150, "axon": 9000}}, "few labels: 150 px of myelin"),
        ({"model": dict.fromkeys(NAMES, score(0.7))}, "For axon the model (Dice 0.70) is no better than Otsu"),
        ({"model": dict.fromkeys(NAMES, score(0.9, f1=0.2))}, "neighbours are merged"),
        ({"model": {**dict.fromkeys(NAMES, score(0.9)), "axon": score(None, labelled_px=0)}}, "axon does not occur"),
        ({"best_step": 100}, "still rising"),
        ({"best_step": 40}, "more labels will bring more than more time"),
    ],
)
def test_each_where_it_belongs(changes, said):
    found = cautions(card(**changes), CURVE)
    assert any(said in sentence for sentence in found), found


def test_a_class_that_was_missed_wholly_is_not_taken_for_one_that_does_not_occur():
    missed = {**dict.fromkeys(NAMES, score(0.9)), "axon": score(0.0)}
    assert not any("does not occur" in sentence for sentence in cautions(card(model=missed)))


def test_without_validation_nothing_is_said_of_scores():
    nothing = dict.fromkeys(NAMES, score(None, labelled_px=0))
    assert len(cautions(card(val=[], model=nothing, otsu=nothing), CURVE)) == 1
