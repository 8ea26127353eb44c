from __future__ import annotations

import numpy as np
import pytest
import tifffile

from axonlab_core.imaging.pixel_size import ome_pixel_size_um
from axonlab_core.imaging.read import read_image

PIXELS = np.zeros((5, 7), np.uint8)


def size_of(tmp_path, **options):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, PIXELS, **options)
    return read_image(path).pixel_size_um


def per_inch(um):
    return 25_400 / um


@pytest.mark.parametrize(
    ("size", "unit", "um"),
    [
        (0.1, "µm", 0.1),
        (0.1, "\u03bcm", 0.1),
        (93.0, "nm", 0.093),
        (1.8e-4, "mm", 0.18),
        (5, "Å", 0.0005),
        (1e-7, "m", 0.1),
        (1, "pixel", None),
        (1, "reference frame", None),
        (0, "µm", None),
        (-1, "µm", None),
        ("NaN", "µm", None),
        ("a", "µm", None),
    ],
)
def test_ome_units(size, unit, um):
    axes = "".join(f' PhysicalSize{axis}="{size}" PhysicalSize{axis}Unit="{unit}"' for axis in "XY")
    assert ome_pixel_size_um(f'<OME><Image><Pixels SizeX="7"{axes}/></Image></OME>') == um


def test_ome_variants_of_xml():
    assert ome_pixel_size_um("<ome:Pixels PhysicalSizeX='0.25'>") == 0.25
    assert ome_pixel_size_um('<Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m"/>') == 0.25
    assert ome_pixel_size_um('<Pixels PhysicalSizeY="0.25"/>') is None
    assert ome_pixel_size_um('<Pixels PhysicalSizeX="0.25" PhysicalSizeY="0.5"/>') is None
    assert ome_pixel_size_um('<Pixels SizeX="7"/>') is None
    assert ome_pixel_size_um("<Image/>") is None


def test_ome_tiff(tmp_path):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.13, "PhysicalSizeY": 0.13}
    assert size_of(tmp_path, ome=True, metadata=metadata) == 0.13
    assert size_of(tmp_path, ome=True, metadata={"axes": "YX"}) is None
    # OME-XML that does not say the size is not overruled by resolution tags.
    options = {"resolution": (per_inch(0.1),) * 2, "resolutionunit": "inch"}
    assert size_of(tmp_path, ome=True, metadata={"axes": "YX"}, **options) is None


@pytest.mark.parametrize(
    ("unit", "per_unit", "um"),
    [
        ("um", 10, 0.1),
        ("micron", 10, 0.1),
        ("\\u00B5m", 10, 0.1),
        ("nm", 1 / 93, 0.093),
        ("mm", 5000, 0.2),
        ("cm", 100_000, 0.1),
        ("inch", 72, None),
        ("cm", 28.35, None),
        ("pixel", 1, None),
        ("furlong", 1, None),
    ],
)
def test_imagej(tmp_path, unit, per_unit, um):
    size = size_of(tmp_path, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert size == (None if um is None else pytest.approx(um, rel=1e-6))


def test_imagej_without_a_unit_says_nothing(tmp_path):
    assert size_of(tmp_path, imagej=True, resolution=(10, 10)) is None


@pytest.mark.parametrize(
    ("unit", "across", "down", "um"),
    [
        ("inch", per_inch(0.1), per_inch(0.1), 0.1),
        ("centimeter", 100_000, 100_000, 0.1),
        ("inch", 72, 72, None),
        ("inch", 96, 96, None),
        ("inch", 300, 300, None),
        ("inch", 2400, 2400, None),
        ("centimeter", 28.35, 28.35, None),
        ("none", 10, 10, None),
        ("inch", per_inch(0.1), per_inch(0.2), None),
        ("inch", per_inch(0.1), per_inch(0.1005), 0.1),
    ],
)
def test_resolution_tags(tmp_path, unit, across, down, um):
    size = size_of(tmp_path, resolution=(across, down), resolutionunit=unit, metadata=None)
    assert size == (None if um is None else pytest.approx(um, rel=1e-6))


def test_no_tags_say_nothing(tmp_path):
    assert size_of(tmp_path, metadata=None) is None


@pytest.mark.parametrize("rational", [(0, 0), (0, 1), (1, 0)])
def test_a_resolution_of_nothing_is_no_size(tmp_path, rational):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, PIXELS, resolution=(254_000, 254_000), resolutionunit="inch", metadata=None)
    data = path.read_bytes()
    stored = (254_000).to_bytes(4, "little") + (1).to_bytes(4, "little")
    assert data.count(stored) == 2
    path.write_bytes(data.replace(stored, b"".join(part.to_bytes(4, "little") for part in rational)))
    assert read_image(path).pixel_size_um is None
