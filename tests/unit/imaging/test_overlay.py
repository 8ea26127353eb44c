import imagecodecs
import numpy as np
import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.overlay import contours, overlay, stretched_rgb, write_png

GREY = np.tile(np.linspace(50, 90, 40).astype(np.uint8), (30, 1))


def labelled():
    labels = np.zeros((30, 40), np.uint8)
    labels[5:15, 5:15] = 2
    labels[20:25, 20:30] = 255
    return labels


def test_only_classes_are_coloured():
    labels = labelled()
    plain, drawn = stretched_rgb(GREY), overlay(GREY, labels, palette=AXON_PALETTE)
    assert drawn.shape == (30, 40, 3)
    assert drawn.dtype == np.uint8
    changed = (plain != drawn).any(axis=2)
    assert np.array_equal(changed, labels == 2)


def test_opacity_blends_between_image_and_colour():
    labels = labelled()
    colour = AXON_PALETTE.rgb()[2]
    assert (overlay(GREY, labels, palette=AXON_PALETTE, opacity=1)[labels == 2] == colour).all()
    assert np.array_equal(overlay(GREY, labels, palette=AXON_PALETTE, opacity=0), stretched_rgb(GREY))


def test_contours_are_one_pixel_wide_and_inside():
    drawn = contours(GREY, labelled(), palette=AXON_PALETTE)
    on_line = (drawn == AXON_PALETTE.rgb()[2]).all(axis=2)
    expected = np.zeros((30, 40), bool)
    expected[5:15, 5:15] = True
    expected[6:14, 6:14] = False
    assert np.array_equal(on_line, expected)


@pytest.mark.parametrize("image", [GREY, GREY.astype(np.uint16) * 700, np.repeat(GREY[:, :, None], 3, axis=2)])
def test_contrast_is_stretched_whatever_the_type(image):
    rgb = stretched_rgb(image)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (30, 40, 3)
    assert rgb.min() < 10
    assert rgb.max() > 245


def test_png_holds_the_picture(tmp_path):
    rgb = overlay(GREY, labelled(), palette=AXON_PALETTE)
    write_png(tmp_path / "a.png", rgb)
    assert np.array_equal(imagecodecs.png_decode((tmp_path / "a.png").read_bytes()), rgb)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_labels_of_another_image_are_refused():
    with pytest.raises(BadInput, match="belongs to this image"):
        overlay(GREY, np.zeros((3, 3), np.uint8), palette=AXON_PALETTE)
