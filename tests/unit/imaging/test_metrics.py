import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers, tuples

from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.metrics import confusion, mean_scores, scores

NAMES = ("background", "myelin", "axon")
SHAPES = tuples(integers(1, 8), integers(1, 8))


def test_counted_by_hand():
    truth = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 2, 0]], np.uint8)
    counts = confusion(truth, prediction, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 1]]
    told = scores(counts, NAMES)
    assert told["background"].dice == pytest.approx(2 / 3)
    assert told["background"].iou == pytest.approx(1 / 2)
    assert told["myelin"].dice == pytest.approx(4 / 5)
    assert told["axon"].iou == 1


def test_a_class_that_occurs_nowhere_has_no_score_and_one_that_is_missed_has_zero():
    truth = np.array([[0, 0, 1]], np.uint8)
    told = scores(confusion(truth, np.zeros_like(truth), 3), NAMES)
    assert told["axon"].dice is None
    assert told["myelin"].dice == 0


@given(arrays(np.uint8, SHAPES, elements=integers(0, 2)))
def test_a_perfect_prediction_scores_one(truth):
    told = scores(confusion(truth, truth, 3), NAMES)
    for k, name in enumerate(NAMES):
        assert told[name].dice == (1 if (truth == k).any() else None)


@given(arrays(np.uint8, (5, 5), elements=integers(0, 2)), arrays(np.uint8, (5, 5), elements=integers(0, 2)))
def test_dice_is_two_iou_over_one_plus_iou(truth, prediction):
    for score in scores(confusion(truth, prediction, 3), NAMES).values():
        if score.iou is not None:
            assert score.dice == pytest.approx(2 * score.iou / (1 + score.iou))


def test_another_shape_and_a_foreign_value_are_refused():
    truth = np.zeros((2, 2), np.uint8)
    with pytest.raises(BadInput, match="cannot be compared"):
        confusion(truth, np.zeros((2, 3), np.uint8), 3)
    with pytest.raises(BadInput, match="prediction hold the value 7"):
        confusion(truth, np.full((2, 2), 7, np.uint8), 3)
    with pytest.raises(BadInput, match="labels hold the value 3"):
        confusion(np.full((2, 2), 3, np.uint8), truth, 3)


def test_the_mean_leaves_out_images_without_the_class():
    with_axon = scores(np.diag([5, 0, 5]), NAMES)
    without = scores(np.diag([5, 0, 0]), NAMES)
    mean = mean_scores([with_axon, without], NAMES)
    assert mean["axon"].dice == 1
    assert mean["myelin"].dice is None
