"""Objects counted by hand, against an independent matching, and where labels are partial."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from scipy.optimize import linear_sum_assignment
from skimage.draw import disk
from skimage.measure import label
from skimage.morphology import dilation

from axonlab_core.imaging.metrics import Agreement, agreement, mean_scores, total
from axonlab_core.imaging.objects import OBJECT_IOUS, object_counts

NAMES = ("background", "axon")


def canvas(*boxes, shape=(40, 60), value=1):
    labels = np.zeros(shape, np.uint8)
    for top, bottom, left, right in boxes:
        labels[top:bottom, left:right] = value
    return labels


def counts(truth, prediction, iou=0.5):
    return object_counts(truth, prediction, 2)[1, OBJECT_IOUS.index(iou)].tolist()


def test_found_invented_and_missed_by_hand():
    truth = canvas((2, 12, 2, 12), (2, 12, 20, 30), (20, 30, 2, 12))
    prediction = canvas(
        (2, 12, 2, 12),  # the first one, exactly
        (2, 12, 24, 34),  # 60 of 100 px of the second, and 40 beside it: IoU 60/140
        (25, 35, 40, 50),  # nothing is there
    )
    assert counts(truth, prediction, 0.3) == [2, 1, 1]
    assert counts(truth, prediction, 0.5) == [1, 2, 2]
    score = agreement(truth, prediction, 2).scores(NAMES)["axon"].objects[0]
    assert score.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert score.ap == pytest.approx(2 / (2 + 1 + 1))


def test_two_axons_that_were_merged_are_one_object():
    truth = canvas((2, 12, 2, 12), (2, 12, 14, 24))
    merged = canvas((2, 12, 2, 24))
    assert counts(truth, merged, 0.3) == [1, 0, 1]  # IoU 100/220 with either
    assert counts(truth, merged, 0.5) == [0, 1, 2]


def test_of_several_ways_to_match_the_one_with_most_matches_counts():
    """The first prediction overlaps both axons; taking its better partner would leave the other alone."""
    truth = canvas((0, 10, 0, 10), (0, 10, 11, 21))
    prediction = np.zeros_like(truth)
    prediction[0:10, 4:10], prediction[0:10, 11:15] = 1, 1
    prediction[4, 10] = 1  # one object: 60 px of the first (IoU 60/141), 40 px of the second (IoU 40/161)
    prediction[0:10, 16:21] = 1
    assert counts(truth, prediction, 0.3) == [2, 0, 0]


def test_objects_that_touch_at_a_corner_are_two():
    assert counts(canvas((0, 5, 0, 5), (5, 10, 5, 10)), canvas((0, 5, 0, 5)), 0.5) == [1, 0, 1]


def test_specks_are_no_objects():
    truth = canvas((2, 5, 2, 5))
    assert truth.sum() == 9
    assert counts(truth, np.zeros_like(truth)) == [0, 0, 0]
    assert counts(np.zeros_like(truth), truth) == [0, 0, 0]
    assert agreement(truth, truth, 2).scores(NAMES)["axon"].objects[1].f1 is None


def test_the_background_has_no_objects():
    told = agreement(canvas((2, 12, 2, 12)), canvas((2, 12, 2, 12)), 2).scores(NAMES)
    assert told["background"].objects == ()
    assert told["axon"].f1(0.5) == 1


def test_a_stroke_inside_an_axon_says_nothing_of_objects():
    axons = canvas((2, 22, 2, 22), (2, 22, 30, 50))
    strokes = np.full_like(axons, 255)
    strokes[10:14, 5:19] = 1
    strokes[24:28, 5:50] = 0
    assert counts(strokes, axons) == [0, 0, 0]
    strokes[30:38, 5:20] = 0
    axons[31:37, 6:12] = 1
    assert counts(strokes, axons) == [0, 1, 0], "something on labelled background"
    score = agreement(strokes, axons, 2).scores(NAMES)["axon"].objects[1]
    assert (score.f1, score.ap, score.false_positives) == (None, None, 1)


def test_a_wholly_labelled_axon_among_unknown_counts_and_the_rest_does_not():
    everything = canvas((5, 15, 5, 15), (5, 15, 40, 50))
    truth = np.full_like(everything, 255)
    truth[2:18, 2:18] = everything[2:18, 2:18]
    truth[30, 50] = 0  # a labelled pixel far away: the rectangle round the labels holds all objects
    assert counts(truth, everything) == [1, 0, 0]
    assert counts(truth, np.zeros_like(truth)) == [0, 0, 1]


def test_a_false_object_on_labelled_background_counts_and_one_in_the_unknown_does_not():
    truth = canvas(shape=(40, 60))
    truth[:, 30:59] = 255
    assert counts(truth, canvas((5, 15, 5, 15))) == [0, 1, 0]
    assert counts(truth, canvas((5, 15, 35, 45))) == [0, 0, 0]
    assert counts(truth, canvas((5, 15, 22, 32))) == [0, 1, 0]  # eight of ten columns are labelled
    assert counts(truth, canvas((5, 15, 28, 38))) == [0, 0, 0]  # two of ten


def test_areas_are_those_of_labelled_pixels():
    truth = canvas((5, 15, 5, 15))
    truth[:, 16:40] = 255
    reaching_out = canvas((5, 15, 5, 40))
    assert counts(truth, reaching_out, 0.5) == [1, 0, 0]


def test_nothing_labelled_counts_nothing():
    assert not object_counts(np.full((9, 9), 255, np.uint8), np.ones((9, 9), np.uint8), 3).any()


def reference_true_positives(truth, prediction, least):
    """As StarDist's `matching`: the assignment that has most pairs above the threshold, then most IoU."""
    true, said = label(truth, connectivity=1), label(prediction, connectivity=1)
    iou = np.zeros((true.max(), said.max()))
    for i in range(true.max()):
        for j in range(said.max()):
            one, other = true == i + 1, said == j + 1
            iou[i, j] = (one & other).sum() / (one | other).sum()
    if not iou.size:
        return 0, true.max(), said.max()
    cost = -(iou >= least).astype(float) - iou / (2 * min(iou.shape))
    rows, columns = linear_sum_assignment(cost)
    return int((iou[rows, columns] >= least).sum()), true.max(), said.max()


@settings(max_examples=40, deadline=None)
@given(integers(0, 2**31))
def test_with_full_labels_it_agrees_with_an_independent_matching(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = np.zeros((2, 90, 90), np.uint8)
    for _ in range(14):
        row, column, radius = *rng.integers(0, 90, 2), rng.integers(2, 9)
        truth[disk((row, column), radius, shape=truth.shape)] = 1
        shifted = (row + rng.integers(-3, 4), column + rng.integers(-3, 4))
        if rng.random() < 0.85:
            prediction[disk(shifted, max(2, radius + rng.integers(-2, 3)), shape=truth.shape)] = 1
    for image in (truth, prediction):  # specks are another rule, tested above
        patches = label(image, connectivity=1)
        image[np.isin(patches, np.flatnonzero(np.bincount(patches.ravel()) < 10))] = 0
    for least in OBJECT_IOUS:
        found, true, said = reference_true_positives(truth, prediction, least)
        assert counts(truth, prediction, least) == [found, said - found, true - found]


@settings(max_examples=25, deadline=None)
@given(integers(0, 2**31), integers(0, 2))
def test_an_unknown_rim_of_the_image_changes_nothing_for_the_objects_inside(seed, rim):
    rng = np.random.default_rng(seed)
    labels = np.zeros((60, 60), np.uint8)
    for _ in range(5):
        labels[disk(rng.integers(15, 45, 2), rng.integers(2, 5))] = 1
    labels = dilation(labels)
    around = np.pad(labels, 5 * rim, constant_values=255)
    assert counts(around, np.pad(labels, 5 * rim)) == counts(labels, labels)


def test_regions_add_up_and_means_are_taken_over_images():
    one, other = canvas((2, 12, 2, 12)), canvas((2, 12, 2, 12), (20, 30, 20, 30))
    first, second = agreement(one, one, 2), agreement(other, one, 2)
    together = total([first, second], 2).scores(NAMES)["axon"].objects[1]
    assert (together.true_positives, together.false_positives, together.false_negatives) == (2, 0, 1)
    assert together.f1 == pytest.approx(4 / 5)
    mean = mean_scores([first.scores(NAMES), second.scores(NAMES)], NAMES)["axon"].objects[1]
    assert mean.f1 == pytest.approx((1 + 2 / 3) / 2)
    assert mean.true_positives == 2
    assert isinstance(total([], 2), Agreement)
