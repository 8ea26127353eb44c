import numpy as np
import pytest

from axonlab_core.contract.model_card import Normalisation
from axonlab_core.learning.normalise import measure, normalise

RULE = Normalisation()


def some_image(shape, dtype=np.uint8, top=200):
    return np.random.default_rng(0).gamma(2, top / 10, shape).clip(0, np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_it_is_what_the_card_says(dtype):
    image = some_image((120, 90), dtype, top=int(np.iinfo(dtype).max * 0.7))
    low, high = np.percentile(image, [0.5, 99.5], method="inverted_cdf").astype(float)
    clipped = np.clip((image - low) / (high - low), 0, 1)
    expected = (clipped - clipped.mean()) / clipped.std()
    assert np.allclose(normalise(image, measure(image, RULE))[:, :, 0], expected, atol=1e-4)


def test_a_part_gets_the_numbers_of_the_whole():
    image = some_image((100, 80))
    brightness = measure(image, RULE)
    assert np.array_equal(normalise(image[20:50, 10:60], brightness), normalise(image, brightness)[20:50, 10:60])


def test_each_channel_by_itself():
    image = some_image((60, 70, 3))
    image[:, :, 1] //= 4
    together = normalise(image, measure(image, RULE))
    for channel in range(3):
        alone = image[:, :, channel]
        assert np.array_equal(together[:, :, channel], normalise(alone, measure(alone, RULE))[:, :, 0])


def test_exposure_does_not_matter():
    image = some_image((100, 100), top=100)
    brighter = image.astype(np.uint16) * 50 + 1000
    assert np.allclose(normalise(image, measure(image, RULE)), normalise(brighter, measure(brighter, RULE)), atol=1e-3)


def test_an_image_of_one_brightness_is_finite():
    image = np.full((10, 10), 37, np.uint8)
    assert np.isfinite(normalise(image, measure(image, RULE))).all()
