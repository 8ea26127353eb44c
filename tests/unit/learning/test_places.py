"""Places to look at, on pictures made for it."""

import numpy as np
import pytest

from axonlab_core.learning.places import (
    CORE_PX,
    EDGE_PX,
    doubtful_places,
    examples,
    labelled_places,
    most_doubtful,
)

IMAGE = np.random.default_rng(0).integers(0, 255, (600, 700)).astype(np.uint8)
CELL = 16


def doubt_at(*spots, shape=IMAGE.shape, value=0.9):
    """No doubt but in squares of 128 px round these pixels."""
    doubt = np.zeros((-(-shape[0] // CELL), -(-shape[1] // CELL)), np.float32)
    for row, column in spots:
        doubt[max(0, row - 64) // CELL : (row + 64) // CELL, max(0, column - 64) // CELL : (column + 64) // CELL] = (
            value
        )
    return doubt


def test_the_place_in_doubt_is_framed():
    (place,) = doubtful_places("a", IMAGE, np.zeros(IMAGE.shape, np.uint8), doubt_at((320, 400)), most=1)
    frame = place.frame
    assert frame.bottom - frame.top == frame.right - frame.left == CORE_PX
    assert abs((frame.top + frame.bottom) / 2 - 320) <= CELL
    assert abs((frame.left + frame.right) / 2 - 400) <= CELL
    assert place.value == pytest.approx(0.9, abs=0.1)
    assert place.picture.shape == (EDGE_PX, EDGE_PX, 3)


def test_places_do_not_overlap_and_the_most_doubtful_comes_first():
    doubt = np.maximum(doubt_at((100, 100), value=0.5), doubt_at((450, 550), value=0.8))
    found = doubtful_places("a", IMAGE, np.zeros(IMAGE.shape, np.uint8), doubt, most=3)
    assert [place.frame.top > 300 for place in found[:2]] == [True, False]
    for n, one in enumerate(found):
        for other in found[:n]:
            assert abs(one.frame.top - other.frame.top) >= CORE_PX or abs(one.frame.left - other.frame.left) >= CORE_PX


def test_what_is_labelled_and_what_is_certain_is_no_place_to_annotate():
    labels = np.zeros(IMAGE.shape, np.uint8)
    everywhere = np.full_like(doubt_at(), 0.9)
    assert doubtful_places("a", IMAGE, labels, everywhere, truth=np.zeros_like(labels)) == []
    assert doubtful_places("a", IMAGE, labels, doubt_at()) == []
    truth = np.zeros_like(labels)
    truth[:, 500:] = 255
    assert all(place.frame.right > 500 for place in doubtful_places("a", IMAGE, labels, everywhere, truth=truth))


def test_a_part_tells_where_it_is_in_the_image():
    part = IMAGE[100:500, 200:600]
    (place,) = doubtful_places(
        "a", part, np.zeros(part.shape, np.uint8), doubt_at((200, 200), shape=part.shape), corner=(100, 200), most=1
    )
    assert abs((place.frame.top + place.frame.bottom) / 2 - 300) <= CELL
    assert abs((place.frame.left + place.frame.right) / 2 - 400) <= CELL


def test_an_image_smaller_than_a_frame_is_framed_whole():
    small = IMAGE[:50, :90]
    (place,) = doubtful_places("a", small, np.zeros(small.shape, np.uint8), np.full((4, 6), 0.9, np.float32), most=1)
    assert place.frame == (0, 50, 0, 90)


def test_examples_are_the_weakest_a_typical_and_the_strongest():
    truth = np.ones(IMAGE.shape, np.uint8)
    truth[:, :20] = 0
    labels = truth.copy()
    labels[:256, :256][100:] = 0  # bad
    labels[:256, 256:512][200:] = 0  # middling
    places = labelled_places("a", IMAGE, truth, labels, classes=2)
    found = examples(places)
    assert list(found) == ["weakest", "typical", "strongest"]
    assert (found["weakest"].top, found["weakest"].left) == (0, 0)
    assert found["strongest"].value == 1
    assert found["weakest"].value < found["typical"].value <= 1
    assert list(examples(places[:1])) == ["weakest"]
    assert examples([]) == {}


def test_windows_cover_the_image_and_few_labels_are_no_example():
    places = labelled_places("a", IMAGE, np.ones(IMAGE.shape, np.uint8), np.ones(IMAGE.shape, np.uint8), classes=2)
    assert {(place.top, place.left) for place in places} == {(y, x) for y in (0, 256, 344) for x in (0, 256, 444)}
    few = np.full(IMAGE.shape, 255, np.uint8)
    few[:10, :10] = 1
    assert labelled_places("a", IMAGE, few, few, classes=2) == []


def test_of_many_places_no_image_has_more_than_two_while_there_are_others():
    doubt = np.full((38, 44), 0.9, np.float32)
    one = doubtful_places("one", IMAGE, np.zeros(IMAGE.shape, np.uint8), doubt, most=3)
    other = doubtful_places("other", IMAGE, np.zeros(IMAGE.shape, np.uint8), doubt / 2, most=3)
    assert [place.image for place in most_doubtful([*other, *one], 4)] == ["one", "one", "other", "other"]
    assert len(most_doubtful(one, 3)) == 3
