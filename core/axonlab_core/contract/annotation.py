"""An annotation: strokes and shapes on one image, as a GeoJSON FeatureCollection that QuPath reads and writes.

Units are pixels, the origin is the top left corner, pixel *i* covers [i, i+1). This is a file format that
other programs write too, so members we do not know are kept and not refused.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_POINTS = 1_000_000


def _finite(position: tuple[float, ...]) -> tuple[float, ...]:
    if not all(math.isfinite(number) for number in position):
        msg = "a coordinate is not a finite number"
        raise ValueError(msg)
    return position


Position = Annotated[tuple[float, float] | tuple[float, float, float], AfterValidator(_finite)]
Ring = Annotated[tuple[Position, ...], Field(min_length=4)]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class Polygon(_Open):
    """An outer ring and its holes; myelin is one with a hole."""

    type: Literal["Polygon"]
    coordinates: tuple[Ring, ...] = Field(min_length=1)


class MultiPolygon(_Open):
    """Several polygons that are one thing."""

    type: Literal["MultiPolygon"]
    coordinates: tuple[tuple[Ring, ...], ...]


class LineString(_Open):
    """A scribble; its width is in the feature's properties."""

    type: Literal["LineString"]
    coordinates: tuple[Position, ...] = Field(min_length=2)


class Point(_Open):
    """A dot; paints the pixel it lies in."""

    type: Literal["Point"]
    coordinates: Position


Geometry = Annotated[Polygon | MultiPolygon | LineString | Point, Field(discriminator="type")]


class Classification(_Open):
    """QuPath's way to name a class."""

    name: str


class Properties(_Open):
    """What is known of a shape."""

    classification: Classification | None = None
    width_px: float = Field(default=1.0, gt=0, le=1000)
    """Width of a scribble."""
    finished: bool = False
    """A finished region: inside it, whatever nothing else covers is background."""


class Feature(_Open):
    """One shape."""

    type: Literal["Feature"]
    geometry: Geometry
    properties: Properties = Properties()


class Annotation(_Open):
    """All shapes on one image; later ones lie over earlier ones."""

    type: Literal["FeatureCollection"]
    features: tuple[Feature, ...]


def count_points(geometry: Geometry) -> int:
    """Number of positions in a geometry."""

    def count(nested: Any) -> int:
        return 1 if isinstance(nested[0], (int, float)) else sum(count(inner) for inner in nested)

    return count(geometry.coordinates) if geometry.coordinates else 0
