import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from axonlab_core.imaging.resample import (
    resample_columns,
    resample_image,
    resample_labels,
    resample_rows,
    resampled_length,
    resampling_matrix,
    source_range,
)


@given(integers(1, 60), integers(1, 60))
def test_weights_of_each_pixel_sum_to_one(source, target):
    matrix = resampling_matrix(source, target)
    assert matrix.shape == (target, source)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert matrix.data.min() > 0


@given(integers(4, 50), integers(4, 50), floats(0.2, 4))
def test_image_and_labels_get_the_same_size(height, width, scale):
    image = resample_image(np.zeros((height, width), np.uint8), scale)
    labels = resample_labels(np.zeros((height, width), np.uint8), scale)
    assert image.shape == labels.shape == (resampled_length(height, scale), resampled_length(width, scale))


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_a_ramp_stays_where_it_is(scale):
    """No shift: the middle of every pixel keeps its place on a linear ramp."""
    ramp = np.tile(np.arange(100, dtype=np.float32) + 0.5, (40, 1))
    out = resample_image(ramp, scale)
    expected = (np.arange(out.shape[1]) + 0.5) * 100 / out.shape[1]
    inside = slice(4, -4)
    assert np.allclose(out[5, inside], expected[inside], atol=0.05)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 64))
    assert np.abs(resample_image(stripes, 0.25)[2:-2, 2:-2] - 127.5).max() < 5


def test_colour_channels_stay_apart():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :, 1] = 200
    out = resample_image(image, 0.5)
    assert out.shape == (10, 15, 3)
    assert np.allclose(out[:, :, 1], 200)
    assert not out[:, :, [0, 2]].any()


def test_labels_invent_no_class():
    labels = np.random.default_rng(0).choice(np.array([0, 2, 255], np.uint8), (33, 47))
    assert set(np.unique(resample_labels(labels, 1.7))) <= {0, 2, 255}
    assert np.array_equal(resample_labels(labels, 1.0), labels)
    assert np.array_equal(resample_labels(resample_labels(labels, 3.0), 1 / 3), labels)


@pytest.mark.parametrize("target", [23, 161])
def test_a_strip_is_bit_for_bit_the_strip_of_the_whole(target):
    image = np.random.default_rng(0).random((77, 50)).astype(np.float32)
    matrix = resampling_matrix(77, target)
    columns = resampling_matrix(50, 31)
    whole = resample_columns(resample_rows(image, matrix), columns)
    for first in range(0, target, 10):
        end = min(first + 10, target)
        start, stop = source_range(matrix, first, end)
        strip = resample_columns(resample_rows(image[start:stop], matrix[first:end, start:stop]), columns)
        assert np.array_equal(strip, whole[first:end])
