"""The size of a pixel as electron microscopes write it down: in tags of their own, or in a text beside the image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tifffile

from axonlab_core.imaging.lengths import square_edge_um, unit_um

_ZEISS, _FEI, _OLYMPUS = "CZ_SEM", ("FEI_SFEG", "FEI_HELIOS"), "OlympusSIS"
_M = 1e6
_NM = 1e-3
_SIDECAR_BYTES = 64_000
_JEOL_MARKER = re.compile(r"^\s*([0-9.]+)\s*(\D+?)\s*$")
_COUNTED = re.compile(r"(\d+)\s*[xX*,\s]\s*(\d+)")


def microscope_pixel_size_um(page: tifffile.TiffPage) -> float | None:
    """Edge of one square pixel in µm after the tags of Zeiss, FEI / Thermo Fisher and Olympus microscopes, or None.

    Those of a picture that was resized after the microscope wrote it, as far as that can be seen, do not count.
    """
    for read in (_zeiss, _fei, _olympus):
        found = read(page)
        if found is not None:
            return found
    return None


def sidecar_pixel_size_um(image: Path, *, width_px: int) -> float | None:
    """Edge of one square pixel in µm after the text that a Hitachi, JEOL or Tescan microscope put beside `image`.

    That is a file of the same name ending in `.txt` or `.hdr`; what is in it decides whether it is one.
    """
    for path in (image.with_suffix(".txt"), image.with_suffix(".hdr"), image.with_name(f"{image.stem}-tif.hdr")):
        if path.is_file():
            found = _of_text(_text(path), width_px)
            if found is not None:
                return found
    return None


def _zeiss(page: tifffile.TiffPage) -> float | None:
    said = _dict(page, _ZEISS)
    for name in ("ap_image_pixel_size", "ap_pixel_size"):
        match said.get(name):
            case (_, int() | float() as number, str(unit)):
                edge = number * (unit_um(unit) or 0)
                return square_edge_um(edge, edge)
    return None


def _fei(page: tifffile.TiffPage) -> float | None:
    for tag in _FEI:
        said = _dict(page, tag)
        scan, image = _section(said, "Scan"), _section(said, "Image")
        width = image.get("ResolutionX")
        if isinstance(width, int) and width != page.imagewidth:
            continue
        edges = [_number(scan.get(name)) for name in ("PixelWidth", "PixelHeight")]
        if all(edges):
            return square_edge_um(*(edge * _M for edge in edges if edge))
    return None


def _olympus(page: tifffile.TiffPage) -> float | None:
    said = _dict(page, _OLYMPUS)
    across, down = (_number(said.get(name)) for name in ("pixelsizex", "pixelsizey"))
    return square_edge_um(across * _M, down * _M) if across and down else None


def _of_text(text: str, width_px: int) -> float | None:
    if "[SemImageFile]" in text or "[TemImageFile]" in text:
        return _hitachi(_settings(text, "="), width_px)
    if "$$SM_MICRON_BAR" in text:
        return _jeol(_settings(text, " "), width_px)
    if "PixelSizeX" in text:
        said = _settings(text, "=")
        across, down = _number(said.get("PixelSizeX")), _number(said.get("PixelSizeY"))
        return square_edge_um(across * _M, down * _M) if across and down else None
    return None


def _hitachi(said: dict[str, str], width_px: int) -> float | None:
    edge = _number(said.get("PixelSize"))
    return square_edge_um(edge * _NM, edge * _NM) if edge and _same_width(said.get("DataSize"), width_px) else None


def _jeol(said: dict[str, str], width_px: int) -> float | None:
    """The length of the scale bar by its number of pixels."""
    bar_px, marker = _number(said.get("$$SM_MICRON_BAR")), _JEOL_MARKER.match(said.get("$$SM_MICRON_MARKER", ""))
    if not bar_px or marker is None or not _same_width(said.get("$CM_FULL_SIZE"), width_px):
        return None
    edge = (_number(marker[1]) or 0) * (unit_um(marker[2]) or 0) / bar_px
    return square_edge_um(edge, edge)


def _same_width(size: str | None, width_px: int) -> bool:
    """Whether a size such as `1280x960`, if there is one, is that of the image."""
    counted = None if size is None else _COUNTED.search(size)
    return counted is None or int(counted[1]) == width_px


def _settings(text: str, separator: str) -> dict[str, str]:
    """`name=value` or `name value` lines; the first of each name counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(separator)
        found.setdefault(name.strip(), value.strip())
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_SIDECAR_BYTES)
    except OSError:
        return ""  # the image itself is there; a text beside it that cannot be read says nothing
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8" if _is_utf8(raw) else "latin-1")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _dict(page: tifffile.TiffPage, tag: str) -> dict[str, Any]:
    found = page.tags.get(tag)
    value: Any = None if found is None else found.value
    return value if isinstance(value, dict) else {}


def _section(said: dict[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
