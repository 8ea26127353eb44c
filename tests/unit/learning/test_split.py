import numpy as np
import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_core.learning.split import divide


def three_classes(shape=(128, 128), coverage=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, shape).astype(np.uint8)
    labels[rng.random(shape) >= coverage] = 255
    return labels


def names(regions):
    return {region.image.source.name for region in regions}


def share_a_pixel(division):
    """Whether any pixel of any image is in a training and in a validation region."""
    for name in names(division.train) & names(division.val):
        seen = None
        for regions, value in ((division.train, 1), (division.val, 2)):
            for region in (r for r in regions if r.image.source.name == name):
                seen = np.zeros(region.image.labels.shape, int) if seen is None else seen
                seen[region.box] |= value
        if (seen == 3).any():
            return True
    return False


def test_marks_are_kept(prepared):
    images = [prepared("a", three_classes(), split="train"), prepared("b", three_classes(), split="val")]
    division = divide(images, [], tile_px=64)
    assert (names(division.train), names(division.val)) == ({"a"}, {"b"})
    assert division.scope == "other-group"


def test_marks_within_a_group_are_kept_and_the_scope_says_so(prepared):
    images = [prepared(n, three_classes(), split=s, group="rat") for n, s in (("a", "train"), ("b", "val"))]
    assert divide(images, [], tile_px=64).scope == "other-image"


def test_a_group_is_never_torn_apart(prepared):
    images = [prepared(f"{rat}{i}", three_classes(seed=i), group=rat) for rat in "xyz" for i in range(3)]
    division = divide(images, [], tile_px=64)
    assert division.scope == "other-group"
    assert {r.image.source.group for r in division.train}.isdisjoint(r.image.source.group for r in division.val)
    assert names(division.train) | names(division.val) == {i.source.name for i in images}


def test_an_unmarked_image_of_a_validation_animal_is_not_trained_on(prepared):
    images = [
        prepared("a", three_classes(), split="train", group="x"),
        prepared("b", three_classes(), split="val", group="y"),
        prepared("c", three_classes(), group="y"),
    ]
    assert names(divide(images, [], tile_px=64).train) == {"a"}


def test_an_unmarked_image_of_a_test_animal_is_used_for_nothing(prepared):
    test = prepared("t", three_classes(), split="test", group="x").source
    images = [prepared("same animal", three_classes(), group="x"), prepared("a", three_classes(), group="y")]
    division = divide(images, [test], tile_px=32)
    assert names(division.train) | names(division.val) == {"a"}
    with pytest.raises(BadInput, match="set aside for testing"):
        divide(images[:1], [test], tile_px=32)


def test_images_of_one_animal_are_told_apart_by_image(prepared):
    images = [prepared(n, three_classes(), group="rat") for n in "abcd"]
    division = divide(images, [], tile_px=64)
    assert division.scope == "other-image"
    assert len(division.val) == 1
    assert names(division.train).isdisjoint(names(division.val))


def test_the_only_group_with_a_class_stays_in_the_training(prepared):
    without = three_classes()
    without[without == 2] = 0
    images = [prepared("axons", three_classes()), prepared("b", without), prepared("c", without)]
    assert "axons" in names(divide(images, [], tile_px=64).train)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("coverage", [0.01, 1.0])
def test_with_few_images_parts_of_them_share_no_pixel(prepared, count, coverage):
    images = [prepared(str(i), three_classes((300, 220), coverage, i)) for i in range(count)]
    division = divide(images, [], tile_px=64)
    assert division.scope == "same-image"
    assert names(division.train) == names(division.val) == {str(i) for i in range(count)}
    assert not share_a_pixel(division)
    for train, val in zip(division.train, division.val, strict=True):
        apart = max(val.top - train.bottom, train.top - val.bottom, val.left - train.right, train.left - val.right)
        assert apart >= 64


def test_labels_in_one_place_are_all_trained_on(prepared):
    labels = np.full((300, 300), 255, np.uint8)
    labels[100:120, 100:120] = three_classes((20, 20))
    division = divide([prepared("a", labels)], [], tile_px=64)
    assert division.val == ()
    assert (division.train[0].labels == labels).all()


def test_if_everything_is_marked_for_validation_something_is_learned_from(prepared):
    images = [prepared(n, three_classes(), split="val") for n in "abc"]
    division = divide(images, [], tile_px=64)
    assert len(division.train) == 2
    assert len(division.val) == 1


def test_an_image_is_not_cut_where_most_of_its_labels_would_be_lost(prepared):
    division = divide([prepared("a", three_classes((300, 300)))], [], tile_px=192)
    assert division.val == ()
    assert division.train[0].labels.shape == (300, 300)
