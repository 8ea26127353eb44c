"""What is shown of images and labels."""

import numpy as np
import pytest

import axonlab
from axonlab.pictures import picture
from axonlab_core.contract.errors import BadInput


def test_contrast_is_automatic(grey):
    rgb = picture(grey // 50)  # 40 brightnesses of 65536
    assert rgb.shape == (40, 50, 3)
    assert (rgb.min(), rgb.max()) == (0, 255)


def test_labels_are_coloured_and_background_and_unknown_are_not(write, grey, classes):
    classes[:5] = 0
    plain = picture(write("a.tif", grey)).astype(int)
    coloured = picture("a.tif", write("labels.tif", classes)).astype(int)
    same = (plain == coloured).all(axis=2)
    assert same[:5].all()
    assert same[30:].all()
    assert not same[5:30].any()
    assert (coloured[10] - 0.6 * plain[10])[:, 2].mean() > (coloured[10] - 0.6 * plain[10])[:, 0].mean()  # blue myelin
    outlined = picture(grey, classes, outlines=True).astype(int)
    assert (outlined == plain).all(axis=2)[7:18].all()


def test_large_images_are_shrunk():
    assert picture(np.zeros((100, 4000), np.uint8)).shape == (34, 1334, 3)


def test_labels_of_another_image_are_refused(write, grey, classes):
    with pytest.raises(BadInput):
        picture(grey, classes[:5])
    with pytest.raises(BadInput, match="float64"):
        picture(grey.astype(float))


def test_in_a_terminal_it_says_where_pictures_are_picture(grey, capsys):
    axonlab.show_image(grey)
    assert "notebook" in capsys.readouterr().err


def test_in_a_notebook_a_picture_is_shown(grey, monkeypatch, tmp_path):
    displayed = []
    monkeypatch.setattr("axonlab.pictures.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", displayed.append)
    axonlab.show_image(grey)
    (image,) = displayed
    assert image.data.startswith(b"\xff\xd8")
