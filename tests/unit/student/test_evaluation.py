"""Dice and IoU on arrays small enough to count by hand."""

import json

import numpy as np
import pytest

import axonlab
from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.label_tiff import write_label_tiff

TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 255]], np.uint8)
GUESS = np.array([[0, 1, 1, 1], [0, 2, 0, 2]], np.uint8)
# Without the unknown pixel: background 2 right of 3 true and 3 said, myelin 2 of 2 and 3, axon 1 of 2 and 1.
BACKGROUND, MYELIN, AXON = (4 / 6, 2 / 4), (4 / 5, 2 / 3), (2 / 3, 1 / 2)


def test_numbers_by_hand(write):
    write("truth/a.tif", TRUTH)
    write("prediction/a.tif", GUESS)
    found = axonlab.evaluate("truth", "prediction")
    for name, (dice, iou) in {"background": BACKGROUND, "myelin": MYELIN, "axon": AXON}.items():
        assert found.images["a"][name].dice == pytest.approx(dice)
        assert found.images["a"][name].iou == pytest.approx(iou)
        assert found.mean[name] == found.images["a"][name]


def test_means_leave_out_images_without_the_class(write):
    empty = np.zeros((2, 4), np.uint8)
    for name, true, guess in (("a", TRUTH, GUESS), ("b", empty, empty)):
        write(f"truth/{name}.tif", true)
        write(f"prediction/{name}.tif", guess)
    found = axonlab.evaluate("truth", "prediction")
    assert found.images["b"]["axon"].dice is None
    assert found.mean["axon"].dice == pytest.approx(AXON[0])
    assert found.mean["background"].dice == pytest.approx((BACKGROUND[0] + 1) / 2)
    assert "–" in str(found)
    assert ">mean</td>" in found._repr_html_()


def test_files_of_other_kinds_are_matched_by_stem(write, tmp_path):
    write("truth/a.ome.tif", TRUTH)
    write("truth/only.tif", TRUTH)
    (tmp_path / "out/masks").mkdir(parents=True)
    write_label_tiff(tmp_path / "out/masks/a.labels.ome.tif", GUESS, pixel_size_um=0.1, palette_names=("x", "y", "z"))
    write("out/masks/extra.tif", GUESS)
    found = axonlab.evaluate("truth", "out/masks")
    assert found.images["a"]["axon"].dice == pytest.approx(AXON[0])
    assert (found.only_truth, found.only_prediction) == (("only",), ("extra",))
    (tmp_path / "out/MANIFEST.sha256").write_text("")
    assert axonlab.evaluate("truth", "out").images == found.images


def test_a_large_label_image_with_a_pyramid(write, tmp_path):
    truth = np.zeros((1100, 1300), np.uint8)
    truth[:, 650:] = 2
    write("truth/big.tif", truth)
    (tmp_path / "p").mkdir()
    write_label_tiff(tmp_path / "p/big.labels.ome.tif", truth, pixel_size_um=None, palette_names=("x", "y", "z"))
    assert axonlab.evaluate("truth", "p").images["big"]["axon"].dice == 1.0


def test_drawn_truth(write, tmp_path):
    (tmp_path / "truth").mkdir()
    square = [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": square},
        "properties": {"classification": {"name": "axon"}},
    }
    drawing = json.dumps({"type": "FeatureCollection", "features": [feature]})
    (tmp_path / "truth/a.geojson").write_text(drawing)
    write("prediction/a.tif", np.array([[2, 2, 1], [2, 0, 1]], np.uint8))
    found = axonlab.evaluate("truth", "prediction").images["a"]
    assert found["axon"].iou == pytest.approx(3 / 4)
    (tmp_path / "both").mkdir()
    (tmp_path / "both/a.geojson").write_text(drawing)
    with pytest.raises(BadInput, match="no size"):
        axonlab.evaluate("truth", "both")


def test_every_bad_pair_is_named(write):
    write("truth/a.tif", TRUTH)
    write("truth/b.tif", TRUTH)
    write("prediction/a.tif", GUESS[:, :3])
    write("prediction/b.tif", np.full_like(GUESS, 9))
    with pytest.raises(BadInput) as caught:
        axonlab.evaluate("truth", "prediction")
    assert "a.tif is 4 × 2 px" in str(caught.value)
    assert "9 (8 px)" in str(caught.value)


def test_nothing_in_common(write):
    write("truth/a.tif", TRUTH)
    write("prediction/b.tif", GUESS)
    with pytest.raises(BadInput, match=r"a\.tif.*b\.tif"):
        axonlab.evaluate("truth", "prediction")
    with pytest.raises(BadInput, match="no folder"):
        axonlab.evaluate("truth", "nowhere")
