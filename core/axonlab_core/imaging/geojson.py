"""Annotations from GeoJSON files, as this project, QuPath and others write them."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, NoReturn

from pydantic import ValidationError

from axonlab_core.contract.annotation import MAX_POINTS, Annotation
from axonlab_core.contract.errors import BadInput

_LARGEST_BYTES = 100 * MAX_POINTS
_DRAWN = ("Polygon", "MultiPolygon", "LineString", "Point")
_EXPORT = "Export the annotations again; in QuPath: File > Export objects as GeoJSON."


def read_geojson(file: BinaryIO, name: str) -> Annotation:
    """The annotation in a GeoJSON file: a FeatureCollection, QuPath's bare list of features, or one feature.

    Rings that are not closed are closed. Rings that cross themselves are left as they are: `rasterise` fills
    them by the even-odd rule.

    Raises
    ------
    BadInput
        If it is no GeoJSON, has no shapes, too many points, or a shape that cannot be drawn.
    """
    features = _features(_parse(file, name), name)
    points = _count_positions(features)
    if points > MAX_POINTS:
        raise BadInput(
            f"{name} has {points:,} points; at most {MAX_POINTS:,} are taken.",
            remedy="Simplify the outlines, or hand in a label image (PNG or TIFF) instead.",
        )
    for number, feature in enumerate(features, start=1):
        _prepare(feature, number, name)
    try:
        return Annotation.model_validate({"type": "FeatureCollection", "features": features})
    except ValidationError as error:
        _refuse_shape(error, name)


def _parse(file: BinaryIO, name: str) -> Any:
    size = file.seek(0, 2)
    file.seek(0)
    if size > _LARGEST_BYTES:
        raise BadInput(
            f"{name} is larger than {_LARGEST_BYTES / 1e6:.0f} MB.",
            remedy="Simplify the outlines, or hand in a label image (PNG or TIFF) instead.",
        )
    try:
        return json.loads(file.read(size).decode("utf-8-sig"), parse_constant=_no_number)
    except _NotFiniteError as error:
        raise BadInput(f"{name} has {error}, which is no coordinate.", remedy=_EXPORT) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} cannot be read as JSON ({error}).", remedy=_EXPORT) from error


class _NotFiniteError(Exception):
    """A number that is none: NaN or Infinity."""


def _no_number(text: str) -> NoReturn:
    raise _NotFiniteError(text)


def _features(document: Any, name: str) -> list[Any]:
    """The features of whatever kind of document it is."""
    match document:
        case list():
            features = document
        case {"type": "FeatureCollection", "features": list(features)}:
            pass
        case {"type": "Feature"}:
            features = [document]
        case {"type": str(kind)}:
            raise BadInput(
                f"{name} is a bare {kind}: it says no class.", remedy="Wrap it in a Feature that has a classification."
            )
        case _:
            raise BadInput(f"{name} is JSON, but not GeoJSON with features.", remedy=_EXPORT)
    if not features:
        raise BadInput(f"{name} has no shapes.", remedy="Draw at least one, or leave the file out.")
    return features


def _count_positions(document: Any) -> int:
    """Lists that begin with a number, wherever they are; without recursion, since anybody wrote the file."""
    count, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            # A colour in the properties is not a position.
            waiting.extend(value[key] for key in ("geometry", "coordinates", "geometries") if key in value)
        elif isinstance(value, list) and value:
            if isinstance(value[0], (int, float)):
                count += 1
            else:
                waiting.extend(value)
    return count


def _prepare(feature: Any, number: int, name: str) -> None:
    """Smooth over what other programs write and the contract does not take; name what cannot be drawn."""
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        raise BadInput(f"{name}: shape {number} has no geometry.", remedy=_EXPORT)
    if feature.get("properties") is None:
        feature["properties"] = {}
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in _DRAWN:
        raise BadInput(
            f"{name}: shape {number} is a {kind}; what can be drawn is {', '.join(_DRAWN)}.",
            remedy="Split it into such shapes.",
        )
    polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(kind, [])
    for polygon in polygons if isinstance(polygons, list) else []:
        for ring in polygon if isinstance(polygon, list) else []:
            if isinstance(ring, list) and ring and ring[0] != ring[-1]:
                ring.append(ring[0])


def _refuse_shape(error: ValidationError, name: str) -> NoReturn:
    """Raise the first thing that is wrong, in words."""
    first = error.errors(include_url=False)[0]
    where, what = first["loc"], first["msg"].removeprefix("Value error, ")
    number = where[1] + 1 if len(where) > 1 and isinstance(where[1], int) else 1
    if "coordinates" in where and first["type"] == "too_short":
        what = "it has too few points: a polygon needs three corners, a line two points"
    elif "coordinates" in where and "finite" not in what:
        what = "its coordinates are not numbers x, y"
    else:
        what = f"{'.'.join(str(part) for part in where[2:])}: {what}"
    raise BadInput(f"{name}: shape {number} cannot be drawn ({what}).", remedy=_EXPORT) from error
