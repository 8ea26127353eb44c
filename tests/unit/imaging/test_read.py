from __future__ import annotations

import json
import os
import struct
import time
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from axonlab_core.contract.annotation import MAX_POINTS
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.imaging.read import read_image, read_labels

SAMPLE = Path(__file__).parents[3] / "notebooks" / "data" / "axon_sem"
RNG = np.random.default_rng(0)
GREY_8 = RNG.integers(0, 256, (23, 31), np.uint8)
GREY_16 = RNG.integers(0, 65536, (23, 31), np.uint16)
RGB_8 = RNG.integers(0, 256, (23, 31, 3), np.uint8)
RGB_16 = RNG.integers(0, 65536, (23, 31, 3), np.uint16)
OPAQUE = np.full((23, 31, 1), 255, np.uint8)
LABELS = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (23, 31))
HEAT = np.stack([np.arange(256), np.arange(256)[::-1], np.zeros(256)], 1).astype(np.uint8)


def png(width, height, bits, colour_type, rows, *, before=(), level=6) -> bytes:
    """A PNG file from its raw rows, in any of the kinds that PNG has."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    body = zlib.compress(b"".join(b"\0" + row for row in rows), level)
    parts = [chunk(kind, data) for kind, data in before]
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *parts, chunk(b"IDAT", body), chunk(b"IEND", b"")])


def palette_png(indices, colours=HEAT, *, before=()) -> bytes:
    height, width = indices.shape
    rows = [row.tobytes() for row in indices]
    return png(width, height, 8, 3, rows, before=[(b"PLTE", colours.tobytes()), *before])


def bmp(pixels, *, bits, colours=b"", top_down=False) -> bytes:
    height, width = pixels.shape[:2]
    row_bytes = (width * bits + 31) // 32 * 4
    rows = [row.tobytes().ljust(row_bytes, b"\0") for row in (pixels if top_down else pixels[::-1])]
    data_at = 54 + len(colours)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits, 0, 0, 2835, 2835, len(colours) // 4, 0
    )
    head = b"BM" + struct.pack("<IHHI", data_at + row_bytes * height, 0, 0, data_at)
    return head + info + colours + b"".join(rows)


@pytest.fixture
def save(tmp_path):
    def write(data: bytes, name: str = "cells.png") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def tiff(tmp_path, pixels, **options) -> Path:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels, **options)
    return path


def refusal(call) -> str:
    """What the person reads; every refusal names the file and has a remedy."""
    with pytest.raises(BadInput) as caught:
        call()
    assert caught.value.remedy
    return str(caught.value)


# --- images that are taken ---


@pytest.mark.parametrize("pixels", [GREY_8, GREY_16, RGB_8, RGB_16], ids=["grey8", "grey16", "rgb8", "rgb16"])
def test_png_keeps_every_bit(save, pixels):
    picture = read_image(save(imagecodecs.png_encode(pixels)))
    assert picture.pixels.dtype == pixels.dtype
    assert np.array_equal(picture.pixels, pixels)
    assert picture.pixel_size_um is None


@pytest.mark.parametrize("pixels", [GREY_8, GREY_16, RGB_8, RGB_16], ids=["grey8", "grey16", "rgb8", "rgb16"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "tile": (16, 16)},
        {"compression": "packbits", "rowsperstrip": 5},
        {"planarconfig": "separate"},
    ],
    ids=lambda options: "-".join(map(str, options)) or "plain",
)
def test_tiff_keeps_every_bit(tmp_path, pixels, options):
    options = {**options, "photometric": "rgb" if pixels.ndim == 3 else "minisblack"}
    if "planarconfig" in options:
        if pixels.ndim == 2:
            del options["planarconfig"]
        else:
            pixels = np.moveaxis(pixels, -1, 0)
    expected = np.moveaxis(pixels, 0, -1) if "planarconfig" in options else pixels
    read = read_image(tiff(tmp_path, pixels, **options)).pixels
    assert read.dtype == expected.dtype
    assert read.dtype.isnative
    assert np.array_equal(read, expected)


@pytest.mark.parametrize("rgb", [False, True])
def test_jpeg_and_jpeg_in_tiff(save, tmp_path, rgb):
    ramp = np.tile(np.linspace(20, 230, 64).astype(np.uint8), (48, 1))
    pixels = np.stack([ramp, ramp[::-1, ::-1], 255 - ramp], -1) if rgb else ramp
    plain = read_image(save(imagecodecs.jpeg8_encode(pixels, level=95), "cells.jpg")).pixels
    inside = read_image(
        tiff(tmp_path, pixels, compression="jpeg", photometric="rgb" if rgb else "minisblack", tile=(16, 16))
    ).pixels
    for read in (plain, inside):
        assert read.shape == pixels.shape
        assert np.abs(read.astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("top_down", [False, True])
def test_bmp(save, top_down):
    grey = b"".join(bytes((v, v, v, 0)) for v in range(256))
    assert np.array_equal(read_image(save(bmp(GREY_8, bits=8, colours=grey, top_down=top_down))).pixels, GREY_8)
    blue_first = RGB_8[..., ::-1]
    assert np.array_equal(read_image(save(bmp(blue_first, bits=24, top_down=top_down))).pixels, RGB_8)
    padded = np.concatenate([blue_first, 0 * OPAQUE], -1)
    assert np.array_equal(read_image(save(bmp(padded, bits=32, top_down=top_down))).pixels, RGB_8)


def test_one_bit_becomes_black_and_white(save, tmp_path):
    bits = np.array([[0, 1, 1, 0, 1]], np.uint8)
    assert read_image(save(png(5, 1, 1, 0, [b"\x68"]))).pixels.tolist() == [[0, 255, 255, 0, 255]]
    assert read_image(tiff(tmp_path, bits.astype(bool), photometric="minisblack")).pixels.tolist() == [
        [0, 255, 255, 0, 255]
    ]
    black_white = bytes((0, 0, 0, 0, 255, 255, 255, 0))
    packed = np.array([[0x68]], np.uint8)
    one = bmp(packed, bits=1, colours=black_white).replace(struct.pack("<ii", 1, 1), struct.pack("<ii", 5, 1), 1)
    assert read_image(save(one)).pixels.tolist() == [[0, 255, 255, 0, 255]]


def test_two_bits_spread_over_the_whole_range(save):
    assert read_image(save(png(4, 1, 2, 0, [b"\x1b"]))).pixels.tolist() == [[0, 85, 170, 255]]


def test_grey_stored_as_rgb_becomes_grey(save):
    picture = read_image(save(imagecodecs.png_encode(np.repeat(GREY_16[..., None], 3, -1))))
    assert np.array_equal(picture.pixels, GREY_16)


@pytest.mark.parametrize("pixels", [GREY_8[..., None], RGB_8], ids=["grey", "rgb"])
def test_opaque_alpha_is_left_out(save, tmp_path, pixels):
    with_alpha = np.concatenate([pixels, OPAQUE], -1)
    expected = pixels.squeeze()
    assert np.array_equal(read_image(save(imagecodecs.png_encode(with_alpha))).pixels, expected)
    path = tiff(
        tmp_path, with_alpha, extrasamples=["unassalpha"], photometric="rgb" if expected.ndim == 3 else "minisblack"
    )
    assert np.array_equal(read_image(path).pixels, expected)


def test_white_is_zero_is_turned_round(tmp_path):
    assert np.array_equal(read_image(tiff(tmp_path, GREY_8, photometric="miniswhite")).pixels, 255 - GREY_8)


def test_a_palette_of_greys_is_looked_up(save):
    shades = np.repeat(np.arange(256)[::-1, None], 3, 1).astype(np.uint8)
    assert np.array_equal(read_image(save(palette_png(GREY_8, shades))).pixels, 255 - GREY_8)


def test_a_pyramid_is_its_full_resolution(tmp_path):
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as out:
        out.write(GREY_8)
        out.write(GREY_8[::2, ::2], subfiletype=1)
    assert np.array_equal(read_image(path).pixels, GREY_8)


def test_content_decides_and_not_the_name(save):
    assert np.array_equal(read_image(save(imagecodecs.png_encode(RGB_8), "cells.tif")).pixels, RGB_8)
    assert np.array_equal(read_image(str(save(imagecodecs.png_encode(RGB_8), "cells"))).pixels, RGB_8)


def test_real_images_have_the_size_that_the_manifest_says():
    for line in (SAMPLE / "manifest.csv").read_text().splitlines()[1:]:
        name, _, _, _, width, height, *_ = line.split(",")
        picture = read_image(SAMPLE / "images" / f"{name}.png")
        labels = read_labels(SAMPLE / "masks" / f"{name}.png", shape=picture.pixels.shape[:2], palette=AXON_PALETTE)
        assert picture.pixels.shape == labels.shape == (int(height), int(width))
        assert picture.pixels.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels).tolist()) == {0, 1, 2}


# --- images that are refused ---

TIFF_8 = {"photometric": "minisblack", "metadata": None}


@pytest.mark.parametrize(
    ("pixels", "options", "said"),
    [
        (np.zeros((3, 23, 31), np.uint8), TIFF_8, "several pages (3).* Save one plane"),
        (np.zeros((2, 23, 31), np.uint8), {"imagej": True}, "several pages"),
        (np.zeros((2, 23, 31), np.uint16), {"ome": True, "metadata": {"axes": "ZYX"}}, "several pages"),
        (RGB_8.astype(np.float32), {"photometric": "rgb"}, "colours of type float32.* 16-bit"),
        (GREY_8.astype(np.int32), TIFF_8, "type int32"),
        (GREY_8.astype(np.int16), TIFF_8, "type int16"),
        (GREY_8.astype(np.complex64), TIFF_8, "type complex64"),
        (np.zeros((23, 31, 4), np.uint8), {"photometric": "separated"}, "CMYK"),
        (RGB_8, {"photometric": "cielab"}, "CIELAB.* RGB or grey"),
        (np.zeros((23, 31, 5), np.uint8), {**TIFF_8, "planarconfig": "contig"}, "5 channels"),
        (np.zeros((23, 31, 2), np.uint8), {**TIFF_8, "planarconfig": "contig"}, "2 channels"),
        (RGB_8, {**TIFF_8, "planarconfig": "contig"}, "3 channels that are not red, green and blue"),
        (GREY_8, {"photometric": "palette", "colormap": (HEAT.T.astype(np.uint16) << 8)}, "palette of colours"),
        (
            np.concatenate([RGB_8, 0 * OPAQUE], -1),
            {"extrasamples": ["unassalpha"], "photometric": "rgb"},
            "transparent",
        ),
    ],
)
def test_tiff_of_another_kind_is_refused(tmp_path, pixels, options, said):
    path = tiff(tmp_path, pixels, **options)
    message = refusal(lambda: read_image(path))
    assert "cells.tif" in message
    for words in said.split(".* "):
        assert words in message


def refused_files() -> dict[str, tuple[bytes, str]]:
    half = np.concatenate([RGB_8, OPAQUE], -1)
    half[3, 4, 3] = 128
    good_png, good_jpeg = imagecodecs.png_encode(RGB_8), imagecodecs.jpeg8_encode(RGB_8)
    wrong_sum = bytearray(good_png)
    wrong_sum[len(good_png) // 2] ^= 1
    packed_bmp = bytearray(bmp(RGB_8, bits=24))
    packed_bmp[30] = 1
    cmyk = imagecodecs.jpeg8_encode(np.zeros((8, 8, 4), np.uint8), colorspace="CMYK", outcolorspace="CMYK")
    row = [b"\0" * 31] * 23
    return {
        "empty": (b"", "empty (0 bytes)"),
        "transparent": (imagecodecs.png_encode(half), "transparent in places"),
        "colour_key": (png(31, 23, 8, 0, row, before=[(b"tRNS", b"\0\0")]), "transparent in places"),
        "palette": (palette_png(GREY_8), "palette of colours"),
        "short_palette": (palette_png(GREY_8, np.zeros((2, 3), np.uint8)), "lacks shades"),
        "palette_bmp": (bmp(GREY_8, bits=8, colours=HEAT.repeat(2, 1)[:, :4].tobytes()), "palette of colours"),
        "animation": (png(31, 23, 8, 0, row, before=[(b"acTL", b"\0" * 8)]), "animated"),
        "cut_png": (good_png[:-300], "ends too early"),
        "cut_png_header": (good_png[:20], "ends too early"),
        "cut_jpeg": (good_jpeg[:-40], "ends too early"),
        "cut_jpeg_header": (good_jpeg[:40], "ends too early"),
        "cut_bmp": (bmp(RGB_8, bits=24)[:-100], "ends too early"),
        "cut_bmp_header": (bmp(RGB_8, bits=24)[:30], "ends too early"),
        "wrong_sum": (bytes(wrong_sum), "damaged PNG"),
        "wrong_header": (png(31, 23, 3, 0, row), "header makes no sense"),
        "few_rows": (png(31, 24, 8, 0, row), "damaged PNG"),
        "no_pixels": (png(0, 23, 8, 0, row), "0 × 23 px"),
        "cmyk_jpeg": (cmyk, "CMYK"),
        "packed_bmp": (bytes(packed_bmp), "compressed"),
        "gif": (b"GIF89a" + b"\0" * 50, "is a GIF image, whatever its name says"),
        "webp": (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        "czi": (b"ZISRAWFILE" + b"\0" * 50, "Zeiss CZI"),
        "archive": (b"PK\x03\x04" + b"\0" * 50, "ZIP archive or an office document"),
        "pdf": (b"%PDF-1.7\n", "PDF"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        "text": (b"hello,\nworld\n", "text file"),
        "page": (b"<!doctype html><html>", "web page"),
        "annotation": (b'{"type": "FeatureCollection"}', "JSON text"),
        "noise": (b"\x07\x99\xfe" * 40, "not known here"),
        "tiff_noise": (b"II*\0\x08\0\0\0" + b"\xff" * 40, "damaged TIFF"),
        "tiff_head": (b"II*\0", "damaged TIFF"),
    }


@pytest.mark.parametrize("case", refused_files())
def test_a_bad_file_is_refused_in_words(save, case):
    data, said = refused_files()[case]
    message = refusal(lambda: read_image(save(data)))
    assert "cells.png" in message
    assert said in message


@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"compression": "zlib", "tile": (16, 16)}], ids=str)
def test_a_truncated_tiff_is_refused(tmp_path, options):
    path = tiff(tmp_path, RGB_16, photometric="rgb", **options)
    whole = path.read_bytes()
    for kept in (10, 100, len(whole) // 2, len(whole) - 50):
        path.write_bytes(whole[:kept])
        message = refusal(lambda: read_image(path))
        assert "ends too early" in message or "damaged TIFF" in message


def test_a_small_file_that_claims_to_be_huge_is_refused_at_once(save, tmp_path):
    began = time.perf_counter()
    claims = [
        save(png(50_000, 50_000, 8, 0, []), "bomb.png"),
        save(bmp(GREY_8, bits=24).replace(struct.pack("<ii", 31, 23), struct.pack("<ii", 50_000, 50_000)), "bomb.bmp"),
    ]
    jpeg = bytearray(imagecodecs.jpeg8_encode(GREY_8))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 50_000, 50_000)
    claims.append(save(bytes(jpeg), "bomb.jpg"))
    with tifffile.TiffWriter(tmp_path / "bomb.tif") as out:
        one_empty_tile = iter([zlib.compress(b"")])
        out.write(one_empty_tile, shape=(50_000, 50_000), dtype=np.uint8, compression="zlib", tile=(50_000, 50_000))
    claims.append(tmp_path / "bomb.tif")
    for path in claims:
        assert "50,000 × 50,000 px" in refusal(lambda path=path: read_image(path))
    assert time.perf_counter() - began < 2


def test_the_limit_is_the_callers(save):
    path = save(imagecodecs.png_encode(GREY_8))
    assert read_image(path, max_pixels=23 * 31).pixels.shape == (23, 31)
    assert "713 pixels; at most 712" in refusal(lambda: read_image(path, max_pixels=23 * 31 - 1))


def test_what_is_no_readable_file_is_refused(tmp_path):
    assert f"no file cells.png in {tmp_path}" in refusal(lambda: read_image(tmp_path / "cells.png"))
    assert "is a folder" in refusal(lambda: read_image(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(lambda: read_image(tmp_path / "pipe"))
    assert "cannot be opened" in refusal(lambda: read_image(tmp_path / "a\0b.png"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be opened" in refusal(lambda: read_image(tmp_path / "loop"))


def test_a_file_that_one_may_not_read_is_refused(save):
    path = save(imagecodecs.png_encode(GREY_8))
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        message = refusal(lambda: read_image(path))
    finally:
        os.seteuid(user)
    assert "cells.png cannot be opened (Permission denied)" in message


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "cells"
    kind = data.draw(st.sampled_from(["png", "jpeg", "bmp", "tiff"]))
    if kind == "tiff":
        tifffile.imwrite(path, RGB_8, photometric="rgb", compression="zlib", tile=(16, 16))
    else:
        encoders = {"png": imagecodecs.png_encode, "jpeg": imagecodecs.jpeg8_encode, "bmp": lambda p: bmp(p, bits=24)}
        path.write_bytes(encoders[kind](RGB_8))
    damaged = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(8, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        picture = read_image(path, max_pixels=100_000)
    except BadInput as error:
        assert error.remedy  # noqa: PT017 (either outcome is right)
    else:
        assert picture.pixels.dtype in (np.uint8, np.uint16)


# --- labels ---


def labels_of(path, shape=(23, 31), palette=AXON_PALETTE):
    return read_labels(path, shape=shape, palette=palette)


def test_label_images_are_read_as_they_are(save, tmp_path):
    def cells(number, pixels, **options):
        return tiff(tmp_path, pixels, **options).rename(tmp_path / f"{number}.tif")

    for path in (
        save(imagecodecs.png_encode(LABELS), "a.png"),
        save(imagecodecs.png_encode(LABELS.astype(np.uint16)), "b.png"),
        save(palette_png(LABELS), "c.png"),
        save(palette_png(LABELS, HEAT[:3], before=[(b"tRNS", b"\0\xff\xff")]), "d.png"),
        cells(0, LABELS, compression="lzw"),
        cells(1, LABELS.astype(np.uint16), byteorder=">"),
        cells(2, LABELS, photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        cells(3, LABELS, photometric="miniswhite"),
    ):
        read = labels_of(path)
        assert read.dtype == np.uint8
        assert np.array_equal(read, LABELS), path.name


def test_labels_of_few_bits_are_indices_and_not_shades(save, tmp_path):
    assert np.array_equal(labels_of(tiff(tmp_path, LABELS == 1)), LABELS == 1)
    assert labels_of(save(png(4, 1, 2, 0, [b"\x18"])), (1, 4)).tolist() == [[0, 1, 2, 0]]
    four = png(4, 1, 2, 3, [b"\x18"], before=[(b"PLTE", HEAT[:4].tobytes())])
    assert labels_of(save(four), (1, 4)).tolist() == [[0, 1, 2, 0]]


def test_sizes_are_compared(save):
    message = refusal(lambda: labels_of(save(imagecodecs.png_encode(LABELS)), (31, 23)))
    assert "cells.png is 31 × 23 px and its image is 23 × 31 px" in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 127, 255], ["127 (2 px)", "grey tones for a viewer", "class indices 0 to 2", "1 myelin"]),
        ([1, 2, 3], ["3 (2 px)", "count from 1"]),
        ([0, 1, 7], ["7 (2 px)", "255 is unknown"]),
        ([0, 1, 65535], ["65535 (2 px)", "Unknown is 255"]),
        (range(20), ["3 (2 px), 4 (2 px)", "and 11 more values", "instance mask"]),
    ],
)
def test_other_values_are_named_with_a_guess(save, values, said):
    pixels = np.array([list(values)] * 2, np.uint16)
    message = refusal(lambda: labels_of(save(imagecodecs.png_encode(pixels)), pixels.shape))
    for words in said:
        assert words in message


def test_the_palette_says_how_many_classes_there_are(save):
    path = save(imagecodecs.png_encode(np.array([[0, 1, 2]], np.uint8)))
    assert "2 (1 px)" in refusal(lambda: labels_of(path, (1, 3), Palette.from_names(("background", "cell"))))
    assert labels_of(path, (1, 3)).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("kind", [np.uint32, np.int32, np.int64])
def test_instance_masks_are_told_apart(tmp_path, kind):
    message = refusal(lambda: labels_of(tiff(tmp_path, LABELS.astype(kind))))
    assert "one number for each object" in message
    assert "class indices" in message


def test_colours_are_no_labels(save):
    assert "holds colours" in refusal(lambda: labels_of(save(imagecodecs.png_encode(RGB_8))))
    assert "do not survive" in refusal(lambda: labels_of(save(imagecodecs.jpeg8_encode(LABELS), "a.jpg")))


# --- shapes ---

SQUARE = [[2, 3], [6, 3], [6, 8], [2, 8], [2, 3]]


def feature(coordinates, *, kind="Polygon", name="axon", **more):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"classification": {"name": name}, **more},
    }


def collection(*features):
    return {"type": "FeatureCollection", "features": list(features)}


@pytest.fixture
def save_json(save):
    return lambda document: save(
        document if isinstance(document, bytes) else json.dumps(document).encode(), "cells.geojson"
    )


def expected_square():
    labels = np.full((23, 31), 255, np.uint8)
    labels[3:8, 2:6] = 2
    return labels


@pytest.mark.parametrize(
    "document",
    [
        collection(feature([SQUARE])),
        [feature([SQUARE])],
        feature([SQUARE]),
        collection(feature([SQUARE[:-1]])),
        collection(feature([SQUARE], name="AXON ")),
        collection(feature([SQUARE], objectType="annotation", isLocked=False)),
        collection(feature([[[*position, 0.0] for position in SQUARE]])),
        collection(feature([[SQUARE]], kind="MultiPolygon")),
        collection(feature([SQUARE]), feature([[[90, 90], [99, 90], [99, 99], [90, 90]]])),
        b"\xef\xbb\xbf \n" + json.dumps(collection(feature([SQUARE]))).encode(),
    ],
    ids=["collection", "list", "single", "unclosed", "case", "qupath", "z", "multi", "outside", "bom"],
)
def test_geojson_of_every_layout_is_read(save_json, document):
    assert np.array_equal(labels_of(save_json(document)), expected_square())


def test_geojson_is_known_by_its_content(save):
    path = save(json.dumps(feature([SQUARE])).encode(), "cells.png")
    assert np.array_equal(labels_of(path), expected_square())


TRIANGLE = [[1, 1], [5, 1], [5, 5], [1, 1]]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (collection(), "no shapes"),
        (b"[", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"type": "FeatureCollection", "features": "\xff"}', "cannot be read as JSON"),
        (b'{"a": 1}', "not GeoJSON"),
        ({"type": "Polygon", "coordinates": [SQUARE]}, "bare Polygon"),
        (collection(feature([SQUARE], name="axn")), "class 'axn', which the palette does not have"),
        (collection(feature([SQUARE], name="axn")), "background, myelin, axon"),
        (collection({**feature([SQUARE]), "properties": None}), "shape 1 has no class"),
        (collection(feature([SQUARE]), {"type": "Feature", "geometry": None}), "shape 2 has no geometry"),
        (collection(feature([[1, 2]], kind="MultiPoint")), "is a MultiPoint"),
        (collection(feature([[[1, 1], [2, 2]]])), "too few points"),
        (collection(feature([[1, 1]], kind="LineString")), "too few points"),
        (collection(feature([])), "too few points"),
        (collection(feature([[["x", 1], *TRIANGLE]])), "not numbers x, y"),
        (collection(feature(None)), "not numbers x, y"),
        (collection(feature([[[float("nan"), 1], *TRIANGLE]])), "NaN"),
        (json.dumps(collection(feature([TRIANGLE]))).replace("5", "1e999").encode(), "not a finite number"),
        (
            collection(feature([[[90, 90], [99, 90], [99, 99]]])),
            "no shape covers a pixel of its image, which is 31 × 23",
        ),
        (collection(feature([[]], kind="MultiPolygon")), "no shape covers a pixel"),
        (collection(feature([[[1e8, 1], *TRIANGLE]])), "more than 10,000,000 px away"),
        (collection(feature([[1, 1], [2, 2]], kind="LineString", width_px=-1)), "width_px"),
    ],
)
def test_geojson_that_cannot_be_drawn_is_refused_in_words(save_json, document, said):
    message = refusal(lambda: labels_of(save_json(document)))
    assert "cells.geojson" in message
    assert said in message


def test_too_many_points_are_counted_before_they_are_checked(save_json):
    ring = b"[1,1]," * MAX_POINTS + b"[1,1]"
    text = json.dumps(collection(feature([["HERE"]]))).encode().replace(b'"HERE"', ring)
    assert f"{MAX_POINTS + 1:,} points; at most {MAX_POINTS:,}" in refusal(lambda: labels_of(save_json(text)))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 40) | st.floats(-9, 40) | st.sampled_from(["Polygon", "Point", "axon"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "coordinates"]), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_stands_in_geojson_is_painted_or_refused(tmp_path_factory, data):
    shapes = [feature([SQUARE, TRIANGLE]), feature([[SQUARE]], kind="MultiPolygon"), feature([1, 2], kind="Point")]
    document = json.loads(json.dumps(collection(*shapes, feature([[1, 1], [9, 9]], kind="LineString"))))
    places = []

    def walk(value):
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            places.append((value, key))
            walk(inner)

    walk(document)
    parent, key = data.draw(st.sampled_from(places))
    parent[key] = data.draw(anything)
    path = tmp_path_factory.mktemp("shapes") / "cells.geojson"
    path.write_text(json.dumps(document))
    try:
        labels = labels_of(path)
    except BadInput as error:
        assert error.message.startswith("cells.geojson")  # noqa: PT017 (either outcome is right)
        assert error.remedy  # noqa: PT017
    else:
        assert set(np.unique(labels).tolist()) <= {0, 1, 2, 255}
