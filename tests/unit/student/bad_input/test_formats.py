"""Every kind of file is read by its rule or refused with the reason; docs/formats.md says so."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

import axonlab
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.canonical import decode
from axonlab_core.imaging.float_scale import scale_to_16_bits
from axonlab_core.imaging.read import read_image, read_labels

from . import containers, document, formats_document, kinds_of_file
from .corpus import PIXELS, SHAPE


def check(kind, call):
    """The pixels that were read as they must be, or the refusal."""
    if kind.expected is None:
        with pytest.raises(BadInput) as caught:
            call()
        return caught.value
    found = call()
    assert found.shape == kind.expected.shape
    assert np.abs(found.astype(float) - kind.expected).max() <= kind.tolerance
    return found


@pytest.mark.parametrize("kind", kinds_of_file.IMAGES, ids=str)
def test_images(kind, tmp_path, formats):
    path = tmp_path / kind.file
    kind.write(path)
    found = check(kind, lambda: read_image(path).pixels)
    if isinstance(found, BadInput):
        said = f"{found.message} {found.remedy}"
    else:
        data = axonlab.dataset(path)
        (image,) = data.manifest.images
        assert np.array_equal(decode(data.blob_files()[image.image.sha256]), found)
        notes = read_image(path).notes
        assert data.warnings[: len(notes)] == notes
        said = " ".join([f"{found.dtype.itemsize * 8}-bit {'RGB' if found.ndim == 3 else 'grey'}.", *notes])
        assert bool(notes) == ("noted" in kind.rule)
    formats.row(formats_document.IMAGES, kind.title, kind.rule, said)


@pytest.mark.parametrize("kind", kinds_of_file.LABELS, ids=str)
def test_labels(kind, tmp_path, formats):
    path = tmp_path / kind.file
    kind.write(path)
    found = check(kind, lambda: read_labels(path, shape=SHAPE, palette=AXON_PALETTE))
    said = f"{found.message} {found.remedy}" if isinstance(found, BadInput) else "Class indices."
    formats.row(formats_document.LABELS, kind.title, kind.rule, said)


def test_the_document_is_whole(formats):
    if document.WRITING:
        pytest.skip("the document is being written")
    formats.check_whole()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_photos_are_turned_as_other_programs_turn_them(tmp_path, orientation, order):
    photo = containers.with_exif(
        imagecodecs.jpeg8_encode(kinds_of_file.SMOOTH_COLOURS, level=98), orientation, order=order
    )
    (tmp_path / "cells.jpg").write_bytes(photo)
    picture = read_image(tmp_path / "cells.jpg")
    theirs = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(photo))))
    assert picture.pixels.shape == theirs.shape
    assert np.abs(picture.pixels.astype(int) - theirs).max() <= 2
    assert len(picture.notes) == (orientation > 1)


@pytest.mark.parametrize("exif", [b"", b"MM", b"MM\0*\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", containers.exif(9)])
def test_exif_that_says_nothing_changes_nothing(tmp_path, exif):
    jpeg = imagecodecs.jpeg8_encode(kinds_of_file.SMOOTH)
    body = b"Exif\0\0" + exif
    photo = jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]
    (tmp_path / "cells.jpg").write_bytes(photo)
    picture = read_image(tmp_path / "cells.jpg")
    assert picture.notes == ()
    assert picture.pixels.shape == SHAPE


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_scaling_reaches_both_ends_and_keeps_the_order(kind):
    values = np.sort(np.random.default_rng(0).normal(size=(60, 20)).astype(kind), axis=None).reshape(60, 20)
    scaled = scale_to_16_bits(values, "cells.tif").pixels
    assert (scaled.min(), scaled.max(), scaled.dtype) == (0, 65535, np.uint16)
    assert (np.diff(scaled.ravel().astype(int)) >= 0).all()


def test_scaling_of_extreme_values():
    widest = np.array([[np.finfo(float).min, 0, np.finfo(float).max]])
    assert scale_to_16_bits(widest, "a").pixels.tolist() == [[0, 32768, 65535]]
    flat = scale_to_16_bits(np.full((3, 4), 7.5), "a")
    assert not flat.pixels.any()
    assert "7.5 to 7.5" in flat.note
    hot = np.linspace(0, 1, 400).reshape(20, 20)
    hot[0, 0] = 1e6
    assert "lie within 1 of these 65,536 levels" in scale_to_16_bits(hot, "a").note


def test_notes_stay_with_their_images(tmp_path):
    for number in range(8):
        Image.fromarray(PIXELS.astype(np.float32) + number).save(tmp_path / f"f{number}.tif")
    Image.fromarray(PIXELS).save(tmp_path / "plain.tif")
    data = axonlab.dataset(tmp_path, pixel_size_um=0.1)
    assert sum("became 0 to 65535" in warning for warning in data.warnings) == 5
    assert "3 more images" in data.warnings[5]
    assert "became" not in " ".join(data.select("plain").warnings)
    assert "f3.tif holds floating-point numbers" in data.select("f3", "plain").warnings[0]
    assert "f0.tif holds floating-point numbers" in repr(data)


def test_labels_of_0_and_255_alone_are_doubted():
    mask = np.where(PIXELS > 100, 255, 0).astype(np.uint8)
    data = axonlab.dataset({"cells": PIXELS}, {"cells": mask}, palette=["background", "cell"])
    assert "hold 0 and 255 alone, that is background and unknown" in data.warnings[0]
    mask[0, 0] = 1
    data = axonlab.dataset({"cells": PIXELS}, {"cells": mask}, palette=["background", "cell"])
    assert "alone" not in " ".join(data.warnings)
