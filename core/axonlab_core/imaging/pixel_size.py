"""The size of a pixel, as far as a TIFF file says it in a way that can be trusted."""

from __future__ import annotations

import html
import re
from typing import Any

import tifffile

from axonlab_core.imaging.lengths import LARGEST_UM, square_edge_um, unit_um
from axonlab_core.imaging.microscope_size import microscope_pixel_size_um

# 2540 dots per inch: whatever is coarser in the resolution tags is the wish of a printer, a screen or a scanner.
_PRINT_UM = 10.0
_RESOLUTION_UNITS = {2: 25_400.0, 3: 10_000.0}
_PIXELS_TAG = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_ATTRIBUTE = re.compile(r"""\b([A-Za-z]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def tiff_pixel_size_um(page: tifffile.TiffPage) -> float | None:
    """Edge of one square pixel in µm, or None where the file does not say it or pixels are not square.

    OME-XML is asked first, then ImageJ's description, the tags of electron microscopes, and the resolution tags.
    Those must have a unit, and must be finer than any printer (72 or 300 dots per inch say nothing about a specimen).
    """
    description = page.description
    if _PIXELS_TAG.search(description):
        return ome_pixel_size_um(description)
    edges = tuple(_units_per_pixel(page, tag) for tag in ("XResolution", "YResolution"))
    if description.startswith("ImageJ="):
        unit = re.search(r"^unit=(.*)$", description, re.MULTILINE)
        name = _unescape(unit[1]) if unit else ""
        printed = name in ("inch", "in", "cm")
        return _square(*edges, um=unit_um(name), largest=_PRINT_UM if printed else LARGEST_UM)
    by_microscope = microscope_pixel_size_um(page)
    if by_microscope is not None:
        return by_microscope
    tag = page.tags.get("ResolutionUnit")
    # Without the tag the standard says inch, but then nobody meant anything by it.
    um = _RESOLUTION_UNITS.get(int(tag.value)) if tag is not None else None
    return _square(*edges, um=um, largest=_PRINT_UM)


def ome_pixel_size_um(xml: str) -> float | None:
    """Edge of one square pixel in µm after `PhysicalSizeX` and `PhysicalSizeY` in OME-XML, or None.

    Examples
    --------
    >>> ome_pixel_size_um('<Pixels PhysicalSizeX="93" PhysicalSizeXUnit="nm" PhysicalSizeY="0.093">')
    0.093
    """
    tag = _PIXELS_TAG.search(xml)
    if tag is None:
        return None
    values = {name: html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(tag[0])}
    edges = [_um(values.get(f"PhysicalSize{axis}"), values.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XY"]
    across = edges[0]
    return _square(across, edges[1] if "PhysicalSizeY" in values else across, um=1.0, largest=LARGEST_UM)


def _um(number: str | None, unit: str) -> float | None:
    factor = unit_um(unit)
    try:
        return None if number is None or factor is None else float(f"{float(number) * factor:.12g}")
    except ValueError:
        return None


def _square(across: float | None, down: float | None, *, um: float | None, largest: float) -> float | None:
    """The edge in µm, of edges that are given in units of `um` µm."""
    if across is None or down is None or um is None:
        return None
    return square_edge_um(across * um, down * um, largest=largest)


def _units_per_pixel(page: tifffile.TiffPage, name: str) -> float | None:
    """Length of a pixel in units of the resolution tag `name`."""
    tag = page.tags.get(name)
    value: Any = None if tag is None else tag.value
    if not isinstance(value, tuple) or len(value) != 2 or not value[0]:  # noqa: PLR2004 (numerator, denominator)
        return None
    return value[1] / value[0]


def _unescape(unit: str) -> str:
    r"""ImageJ writes letters beyond ASCII as `\u00B5`."""
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), unit).strip().lower()
