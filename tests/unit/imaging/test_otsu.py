import numpy as np
import pytest
from skimage.filters import threshold_multiotsu

from axonlab_core.imaging.otsu import fit_polarity, otsu_labels, otsu_thresholds


def three_greys(rng, values=(40, 120, 220)):
    labels = rng.integers(0, 3, (80, 90)).astype(np.uint8)
    image = np.clip(np.array(values)[labels] + rng.normal(0, 8, labels.shape), 0, 255).astype(np.uint8)
    return image, labels


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_thresholds_separate_as_well_as_an_exhaustive_search(classes):
    grey = np.random.default_rng(1).gamma(3, 20, (100, 100)).astype(np.float32)

    def between(thresholds):
        group = np.digitize(grey, thresholds)
        return sum((group == k).mean() * (grey[group == k].mean() - grey.mean()) ** 2 for k in range(classes))

    ours, theirs = otsu_thresholds(grey, classes), threshold_multiotsu(grey, classes)
    assert between(ours) >= 0.999 * between(theirs)
    assert np.allclose(ours, theirs, atol=2 * np.ptp(grey) / 256)


def test_polarity_comes_from_the_labels():
    image, labels = three_greys(np.random.default_rng(0))
    assert fit_polarity([(image, labels)], 3) == (0, 1, 2)
    assert fit_polarity([(255 - image, labels)], 3) == (2, 1, 0)


def test_polarity_outlives_a_change_of_exposure_between_images():
    rng = np.random.default_rng(0)
    dark, bright = three_greys(rng, (5, 20, 40)), three_greys(rng, (150, 190, 230))
    assert fit_polarity([dark, bright], 3) == (0, 1, 2)


def test_clear_greys_are_found_again():
    image, labels = three_greys(np.random.default_rng(0))
    assert (otsu_labels(image, (0, 1, 2)) == labels).mean() > 0.99
    as_uint16 = image.astype(np.uint16) * 200
    assert (otsu_labels(as_uint16, (0, 1, 2)) == labels).mean() > 0.99
    assert (otsu_labels(np.repeat(image[:, :, None], 3, axis=2), (0, 1, 2)) == labels).mean() > 0.99


def test_classes_without_labels_are_not_predicted():
    image, labels = three_greys(np.random.default_rng(0))
    sparse = np.where(labels == 1, np.uint8(255), labels)
    polarity = fit_polarity([(image, sparse)], 3)
    assert polarity == (0, 2)
    assert set(np.unique(otsu_labels(image, polarity))) == {0, 2}


def test_an_image_of_one_grey_has_labels():
    assert otsu_labels(np.full((4, 5), 7, np.uint8), (1, 0)).shape == (4, 5)


def test_many_classes_take_no_time():
    grey = np.random.default_rng(0).random((200, 200)).astype(np.float32)
    thresholds = otsu_thresholds(grey, 12)
    assert len(thresholds) == 11
    assert (np.diff(thresholds) > 0).all()
