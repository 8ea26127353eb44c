"""Data preparation: what comes out, and that every fault is told, with where and what to do."""

import json

import numpy as np
import pytest
import tifffile

import axonlab
from axonlab_core.contract.errors import BadInput, NotFound
from axonlab_core.imaging.canonical import decode

OME_03 = {"metadata": {"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}, "ome": True}


def faults(**arguments):
    with pytest.raises(BadInput) as caught:
        axonlab.dataset(**arguments)
    return str(caught.value)


def test_folders_become_a_dataset_whose_blobs_hold_the_same_pixels(write, grey, classes, tmp_path):
    write("images/b.tif", grey)
    write("images/a.tif", grey + 1)
    write("labels/a.tif", classes)
    write("labels/unused.tif", classes)
    (tmp_path / "images/readme.txt").write_text("no image")
    data = axonlab.dataset("images", "labels")
    assert data.names == ("a", "b")
    first, second = data.manifest.images
    assert (decode(data.blob_files()[first.image.sha256]) == grey + 1).all()
    assert (decode(data.blob_files()[first.labels.sha256]) == classes).all()
    assert second.labels is None
    assert (first.width_px, first.height_px, first.channels, first.dtype) == (50, 40, 1, "uint16")
    assert data.sha256 in data.blob_files()
    assert data.labelled_fraction == pytest.approx(0.5 * 0.75)


def test_the_same_pixels_give_the_same_name_whatever_the_file(write, grey, classes):
    write("one/x.tif", grey)
    write("two/x.ome.tif", grey, ome=True)
    write("one_l/x.tif", classes)
    one = axonlab.dataset("one", "one_l")
    assert one.sha256 == axonlab.dataset("two/*.tif", {"x": classes}).sha256
    assert one.sha256 == axonlab.dataset({"x": grey}, {"x": classes}).sha256
    assert one.sha256 != axonlab.dataset({"x": grey}).sha256


@pytest.mark.parametrize("given", ["images/*.tif", ["images/a.tif", "images/b.tif"], ["images", "images/a.tif"]])
def test_patterns_and_lists(write, grey, given):
    write("images/a.tif", grey)
    write("images/b.tif", grey)
    assert axonlab.dataset(given).names == ("a", "b")


def test_one_array_and_one_file(write, grey, classes):
    assert axonlab.dataset(grey, classes).names == ("image",)
    path = write("a.tif", grey)
    labels = write("somewhere.tif", classes)
    assert axonlab.dataset(path, labels).manifest.images[0].labels is not None


def test_pixel_size_argument_before_manifest_before_file(write, grey, tmp_path):
    write("a.ome.tif", grey, **OME_03)
    write("b.tif", grey)
    table = tmp_path / "m.csv"
    table.write_text("name,pixel_size_um\na,0.2\nb,\n")

    def sizes(**options):
        return [image.pixel_size_um for image in axonlab.dataset("*.tif", **options).manifest.images]

    assert sizes(pixel_size_um=0.1, manifest=table) == [0.1, 0.1]
    assert sizes(manifest=table) == [0.2, None]
    assert sizes() == [pytest.approx(0.3), None]


def test_manifest_gives_split_and_group_and_other_rows_and_columns_do_not_matter(write, grey, tmp_path):
    write("a.tif", grey)
    (tmp_path / "m.csv").write_text("\ufeffname,split,animal,note\nother,val,x,\na,test,rat 1,whatever\n")
    (image,) = axonlab.dataset("a.tif", manifest="m.csv").manifest.images
    assert (image.split, image.group, image.pixel_size_um) == ("test", "rat 1", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,split\na,train\na,val\n", ["row 3", "'a'", "row 2"]),
        ("name,split\nb,train\n", ["'a' has no row"]),
        ("name,split\na,practice\n", ["row 2", "practice", "train, val, test"]),
        ("name,pixel_size_um\na,0;18\n", ["row 2", "0;18", "0.18"]),
        ("name,pixel_size_um\na,-1\n", ["row 2", "-1"]),
        ("name,pixel_size_um\na,nan\n", ["row 2", "nan"]),
        ("name,split\na,train\n,val\n", ["row 3", "empty"]),
        ("name;split\na;train\n", ["row 1", "`name`", "comma"]),
        ("", ["row 1", "`name`"]),
    ],
)
def test_a_bad_manifest_is_refused_with_the_row(write, grey, tmp_path, text, said):
    write("a.tif", grey)
    (tmp_path / "m.csv").write_text(text)
    message = faults(images="a.tif", manifest="m.csv")
    assert all(part in message for part in said), message


def test_a_manifest_that_is_no_text_or_is_not_there(write, grey, tmp_path):
    write("a.tif", grey)
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x01name")
    assert "UTF-8" in faults(images="a.tif", manifest="m.csv")
    assert "gone.csv" in faults(images="a.tif", manifest="gone.csv")


def test_every_bad_file_is_named_at_once(write, grey, classes, tmp_path):
    write("images/good.tif", grey)
    write("images/signed.tif", grey.astype(np.int32))
    (tmp_path / "images/empty.png").write_bytes(b"")
    write("images/small_label.tif", grey)
    write("labels/small_label.tif", classes[:10])
    write("images/odd_label.tif", grey)
    write("labels/odd_label.tif", np.full_like(classes, 7))
    message = faults(images="images", labels="labels")
    assert "4 problems in 5 images; nothing was uploaded" in message
    for part in ("signed.tif", "empty.png", "small_label.tif", "50 × 10", "odd_label.tif", "7 (2,000 px)"):
        assert part in message, part
    assert "good.tif" not in message


def test_no_more_than_twenty_are_listed(tmp_path):
    for n in range(25):
        (tmp_path / f"x{n:02}.png").write_bytes(b"junk")
    message = faults(images="*.png")
    assert message.count("  - ") == 20
    assert "and 5 more" in message


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        ("nowhere", None, "no file or folder"),
        ("empty", None, "holds no image"),
        ("*.gif", None, "No image matches"),
        ([], None, "no image"),
        ("images", "nowhere", "no folder"),
        ("images", "strangers", "No label file belongs"),
        ("images", "twice", "2 label files"),
        ("images", {"z": np.zeros((40, 50), np.uint8)}, "no image is called so"),
        ({"a": np.zeros((4, 4))}, None, "float64"),
        ({"a": np.zeros((4, 4, 4), np.uint8)}, None, "(4, 4, 4)"),
        ({"a": np.zeros((0, 4), np.uint8)}, None, "(0, 4)"),
        ({"a": np.zeros((4, 4), np.uint8)}, {"a": np.zeros((4, 5), np.uint8)}, "(4, 5)"),
        ({"a": np.zeros((4, 4), np.uint8)}, {"a": np.zeros((4, 4))}, "float64"),
        ({"a": np.zeros((4, 4), np.uint8)}, {"a": np.full((4, 4), -1)}, "-1"),
        ({"a/b": np.zeros((4, 4), np.uint8)}, None, "'a/b'"),
        ({"a": np.zeros((4, 4), np.uint8), "A": np.zeros((4, 4), np.uint8)}, None, "have the name"),
        (["images/a.tif", "more/a.tif"], None, "have the name"),
        ({"a": np.zeros((4, 4), np.uint8), "b": np.zeros((4, 4, 3), np.uint8)}, None, "Grey images (a)"),
    ],
)
def test_bad_input_is_refused_with_what_and_a_remedy(some_files, images, labels, said):
    with pytest.raises(BadInput) as caught:
        axonlab.dataset(images, labels)
    assert said in caught.value.message
    assert caught.value.remedy


@pytest.fixture
def some_files(write, grey, classes, tmp_path):
    write("images/a.tif", grey)
    write("more/a.tif", grey)
    write("strangers/z.tif", classes)
    write("twice/a.tif", classes)
    write("twice/a.ome.tif", classes)
    (tmp_path / "empty").mkdir()


@pytest.mark.parametrize("size", [0, -0.1, float("nan"), float("inf")])
def test_a_pixel_size_is_a_positive_number(grey, size):
    with pytest.raises(BadInput, match="pixel_size_um"):
        axonlab.dataset(grey, pixel_size_um=size)


@pytest.mark.parametrize("palette", [["one"], ["a", "a"], ["a", "1b"]])
def test_a_bad_palette(grey, palette):
    with pytest.raises(BadInput, match="palette"):
        axonlab.dataset(grey, palette=palette)


def test_warnings_in_plain_words(grey, classes):
    assert "pixel size of 1 of 1" in axonlab.dataset(grey).warnings[0]
    assert "no labels" in axonlab.dataset(grey).warnings[1]
    (never,) = axonlab.dataset(grey, classes, pixel_size_um=0.1).warnings
    assert "background" in never
    complete = classes.copy()
    complete[0] = 0
    data = axonlab.dataset(grey, complete, pixel_size_um=0.1)
    assert data.warnings == ()
    assert "Dataset of 1 image;" in repr(data)
    assert "0.1 µm" in repr(data)
    assert "<table>" in data._repr_html_()


def test_html_shows_names_as_text(grey, tmp_path):
    (tmp_path / "m.csv").write_text("name,animal\nimage,<b>x</b>\n")
    shown = axonlab.dataset(grey, manifest="m.csv")._repr_html_()
    assert "<b>x" not in shown
    assert "&lt;b&gt;" in shown


def test_select_by_split_and_name(grey, tmp_path):
    (tmp_path / "m.csv").write_text("name,split\na,train\nb,test\nc,val\n")
    data = axonlab.dataset({"a": grey, "b": grey, "c": grey}, manifest="m.csv")
    assert data.select(split="test").names == ("b",)
    assert data.select(split=("train", "val")).names == ("a", "c")
    assert data.select("c").names == ("c",)
    assert data.select("c").sha256 != data.sha256
    with pytest.raises(BadInput, match="'z'"):
        data.select("z")
    with pytest.raises(BadInput, match="left"):
        data.select("a", split="test")


def test_geojson_labels(write, grey, tmp_path):
    write("images/a.tif", grey)
    (tmp_path / "labels").mkdir()
    square = [[[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": square},
        "properties": {"classification": {"name": "axon"}},
    }
    (tmp_path / "labels/a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    data = axonlab.dataset("images", "labels")
    assert data.labelled_px["a"] == (0, 0, 100)


def test_an_emptied_cache_is_said(grey, tmp_path):
    data = axonlab.dataset(grey)
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(NotFound, match="gone"):
        data.blob_files()


def test_a_damaged_cache_entry_is_written_again(grey):
    data = axonlab.dataset(grey)
    path = data.blob_files()[data.manifest.images[0].image.sha256]
    path.write_bytes(b"x" * path.stat().st_size)
    again = axonlab.dataset(grey)
    assert again.sha256 == data.sha256
    assert (tifffile.imread(path) == grey).all()
