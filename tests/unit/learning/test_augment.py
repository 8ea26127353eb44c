import cv2
import numpy as np
import pytest

from axonlab_core.learning.augment import Source, cut_tile
from axonlab_core.learning.presets import PRESETS, Augmentation

NOTHING = Augmentation(warped_share=0, contrast=0, brightness=0)
HEAVY = Augmentation(warped_share=1, bend_px=1.5, gamma_share=1, blur_share=1, noise_share=1)


def some_source(channels=1, seed=0):
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (120, 150, channels))
    levels[0, 0], levels[0, 1] = 0, 255
    numbers = (levels * np.linspace(0.01, 0.02, channels) - 1).astype(np.float32)
    return Source.of(numbers, rng.integers(0, 3, (120, 150)).astype(np.uint8)), numbers


@pytest.mark.parametrize("channels", [1, 3])
def test_an_8_bit_image_comes_back_as_it_is(channels):
    source, numbers = some_source(channels)
    again = source.first + source.pixels * source.step
    assert np.allclose(again, numbers, atol=1e-5)


def test_an_image_of_one_brightness_is_finite():
    source = Source.of(np.full((40, 40, 1), 0.3, np.float32), np.zeros((40, 40), np.uint8))
    tile, _ = cut_tile(source, 5, 5, tile_px=32, how=HEAVY, rng=np.random.default_rng(0))
    assert np.isfinite(tile).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_without_any_change_a_tile_is_a_turned_part_of_the_image(channels):
    source, numbers = some_source(channels)
    seen = set()
    for seed in range(20):
        tile, labels = cut_tile(source, 60, 75, tile_px=32, how=NOTHING, rng=np.random.default_rng(seed))
        assert labels.max() < 3
        turned = [np.ascontiguousarray(np.rot90(way, k)) for way in (tile, tile[:, ::-1]) for k in range(4)]
        apart = [cv2.matchTemplate(numbers, way, cv2.TM_SQDIFF).min() / tile.size for way in turned]
        (found,) = np.flatnonzero(np.array(apart) < 1e-4)
        seen.add(int(found))
    assert len(seen) >= 5, "all turns and mirrors occur"


def test_pixels_and_labels_stay_together_however_much_is_changed():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, 3, (10, 10)).astype(np.uint8), 16, 0), 16, 1)
    source = Source.of(labels[:, :, None].astype(np.float32), labels)
    how = HEAVY.model_copy(update={"noise_share": 0.0})
    for seed in range(20):
        tile, found = cut_tile(source, 80, 80, tile_px=64, how=how, rng=np.random.default_rng(seed))
        known = found != 255
        assert np.corrcoef(tile[known, 0], found[known])[0, 1] > 0.9


def test_beyond_the_region_nothing_is_known_and_its_border_is_mirrored():
    source, numbers = some_source()
    tile, labels = cut_tile(source, 0, 0, tile_px=64, how=NOTHING, rng=np.random.default_rng(0))
    assert (labels == 255).any()
    assert (labels != 255).any()
    assert tile.min() >= numbers.min() - 1e-4
    assert tile.max() <= numbers.max() + 1e-4


def test_every_change_changes_something():
    source, _ = some_source()

    def tile(**change):
        how = NOTHING.model_copy(update=change)
        return cut_tile(source, 60, 75, tile_px=48, how=how, rng=np.random.default_rng(5))[0]

    plain = tile()
    for change in (
        {"warped_share": 1.0}, {"gamma_share": 1.0}, {"contrast": 0.3}, {"brightness": 0.3}, {"blur_share": 1.0},
        {"noise_share": 1.0},
    ):  # fmt: skip
        assert not np.allclose(tile(**change), plain, atol=1e-3), change
    bent = tile(warped_share=1.0, bend_px=2.0)
    assert not np.allclose(bent, tile(warped_share=1.0), atol=1e-3)


def test_the_same_random_numbers_give_the_same_tile():
    source, _ = some_source(3)
    one, two = (
        cut_tile(source, 60, 75, tile_px=48, how=PRESETS["standard"].augmentation, rng=np.random.default_rng(3))
        for _ in range(2)
    )
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    assert one[0].dtype == np.float32
    assert one[0].shape == (48, 48, 3)
