"""Pixel sizes as electron microscopes write them: tags made as theirs are, and the texts beside their images."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile

from axonlab_core.imaging.read import read_image

PIXELS = np.zeros((48, 64), np.uint8)
ZEISS = (
    "0\r\n1\r\n0\r\n7.5e-09\r\nDP_IMAGE_STORE\r\nStore resolution = 1024 * 768\r\nAP_MAG\r\nMag =   5.00 K X\r\n"
    "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {size}\r\nAP_BRIGHTNESS\r\nBrightness =  49.6 %\r\n"
)
FEI = (
    "[User]\r\nDate=01/02/2024\r\n\r\n[EScan]\r\nPixelWidth=9e-9\r\n\r\n[Scan]\r\nPixelWidth={across}\r\n"
    "PixelHeight={down}\r\n\r\n[Image]\r\nResolutionX={width}\r\nResolutionY=44\r\n"
)
HITACHI = "[SemImageFile]\r\nInstructName=TM3000\r\nPixelSize={size}\r\nDataSize={width}x40\r\nMicronMarker=50000\r\n"
JEOL = "$CM_FORMAT \r\n$CM_FULL_SIZE {width} 48\r\n$CM_MAG 5000\r\n$$SM_MICRON_BAR 160\r\n$$SM_MICRON_MARKER {bar}\r\n"
TESCAN = "[MAIN]\r\nDevice=MIRA3\r\nPixelSizeX={across}\r\nPixelSizeY={down}\r\n[SEM]\r\nHV=15000.0\r\n"


def tagged(tmp_path, code, text, **options):
    path = tmp_path / "cells.tif"
    raw = text if isinstance(text, bytes) else text.encode("cp1252")
    tifffile.imwrite(path, PIXELS, metadata=None, extratags=[(code, 1, len(raw), raw, True)], **options)
    return path


def size_of(path):
    return read_image(path).pixel_size_um


@pytest.mark.parametrize(
    ("size", "um"),
    [("7.50 nm", 0.0075), ("0.112 µm", 0.112), ("112.0 pm", 0.000112), ("7.5", None), ("0.0 nm", None), ("x nm", None)],
)
def test_zeiss(tmp_path, size, um):
    assert size_of(tagged(tmp_path, 34118, ZEISS.format(size=size))) == (None if um is None else pytest.approx(um))


@pytest.mark.parametrize("code", [34680, 34682])
@pytest.mark.parametrize(
    ("said", "um"),
    [
        ({"across": "1.34896e-007", "down": "1.34896e-007", "width": 64}, 0.134896),
        ({"across": "1.3e-007", "down": "2.6e-007", "width": 64}, None),
        ({"across": "1.3e-007", "down": "1.3e-007", "width": 1024}, None),  # made smaller after it was written
        ({"across": "", "down": "", "width": 64}, None),
    ],
)
def test_fei_and_thermo_fisher(tmp_path, code, said, um):
    assert size_of(tagged(tmp_path, code, FEI.format(**said))) == (None if um is None else pytest.approx(um))


def test_olympus(tmp_path):
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 1, 2, 3, 4, 124, b"image", 1)
    general = struct.pack("<10xhdd8xd2x34s32s", -9, 110.0, 110.0, 5000.0, b"camera", b"TEM")
    path = tagged(tmp_path, 33560, head + struct.pack("<hhI", 1, 1, 0) + general)
    raw = path.read_bytes()
    at = raw.index(b"SIS0") + len(head)
    path.write_bytes(raw[: at + 4] + struct.pack("<I", at + 8) + raw[at + 8 :])
    assert size_of(path) == pytest.approx(0.11)


def test_a_microscope_is_believed_before_the_resolution_tags(tmp_path):
    resolution = {"resolution": (25_400 / 0.5, 25_400 / 0.5), "resolutionunit": "inch"}
    assert size_of(tagged(tmp_path, 34118, ZEISS.format(size="7.50 nm"), **resolution)) == pytest.approx(0.0075)


@pytest.mark.parametrize("code", [34118, 34680, 34682, 33560])
@pytest.mark.parametrize("raw", [b"\x00" * 40, b"\xff\xfe nonsense = =\n[Scan\n", b"SIS0"])
def test_a_damaged_tag_says_nothing(tmp_path, code, raw):
    assert size_of(tagged(tmp_path, code, raw)) is None


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
@pytest.mark.parametrize(("size", "width", "um"), [("99.21875", 64, 0.09921875), ("99.2", 1280, None), ("", 64, None)])
def test_hitachi(tmp_path, encoding, size, width, um):
    path = tmp_path / "cells.png"
    path.write_bytes(imagecodecs.png_encode(PIXELS))
    path.with_suffix(".txt").write_bytes(HITACHI.format(size=size, width=width).encode(encoding))
    assert size_of(path) == um


@pytest.mark.parametrize(
    ("bar", "width", "um"),
    [("5um", 64, 5 / 160), ("5µm", 64, 5 / 160), ("100nm", 64, 0.1 / 160), ("5um", 1280, None), ("5", 64, None)],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_jeol(tmp_path, bar, width, um, encoding):
    path = tmp_path / "cells.bmp"
    path.write_bytes(imagecodecs.bmp_encode(PIXELS))
    path.with_suffix(".txt").write_bytes(JEOL.format(bar=bar, width=width).encode(encoding))
    assert size_of(path) == (None if um is None else pytest.approx(um))


@pytest.mark.parametrize("name", ["cells.hdr", "cells-tif.hdr"])
def test_tescan(tmp_path, name):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, PIXELS, metadata=None)
    (tmp_path / name).write_text(TESCAN.format(across="9.765625e-08", down="9.765625e-08"))
    assert size_of(path) == pytest.approx(0.09765625)


def test_what_the_image_says_itself_comes_first_and_other_texts_say_nothing(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, PIXELS, ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2})
    path.with_suffix(".txt").write_text(HITACHI.format(size=99, width=64))
    assert size_of(path) == 0.2
    tifffile.imwrite(path, PIXELS, metadata=None)
    path.with_suffix(".txt").write_text("My notes: PixelSize=3, and the bar is 5 µm\n", encoding="utf-8")
    assert size_of(path) is None
    path.with_suffix(".txt").unlink()
    path.with_suffix(".txt").mkdir()
    assert size_of(path) is None
