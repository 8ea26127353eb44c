"""Shapes become pixels.

Pixel *i* covers [i, i+1), and pixel centres decide: a pixel belongs to a polygon when its centre does. A centre
exactly on an edge belongs to the shape to the right of (or below) that edge, so of two shapes that share an
edge one and only one gets the pixel. A ring that crosses itself is filled by the even-odd rule; a hole takes
away from its own polygon only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.annotation import Annotation, Feature, LineString, MultiPolygon, Point, Polygon
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import UNKNOWN, Palette

_BACKGROUND = 0
_FARTHEST_PX = 1e7
_BAND_PX = 1 << 24
_BATCH = 1 << 21

Points = NDArray[np.float64]
"""`(N, 2)`: x, y."""
Numbers = NDArray[np.floating[Any]]
"""`(N,)`."""
Mask = NDArray[np.bool_]


def rasterise(annotation: Annotation, *, shape: tuple[int, int], palette: Palette) -> NDArray[np.uint8]:
    """The label image that an annotation says, 255 where it says nothing.

    Finished regions come first and are background inside, whatever their own class; then every other shape in
    its order, later ones over earlier ones. Shapes are clipped at the image's border.

    Parameters
    ----------
    annotation : Annotation
        Shapes in pixels, origin at the top left corner of the image.
    shape : (int, int)
        Height and width of the image in pixels.
    palette : Palette
        Classes; shapes name theirs, upper and lower case being the same.

    Returns
    -------
    (H, W) uint8 array
        Class index of each pixel.

    Raises
    ------
    BadInput
        If a shape has no class or one that the palette does not have, or lies absurdly far away.
    """
    values = [_class_of(feature, number, palette) for number, feature in enumerate(annotation.features, start=1)]
    labels = np.full(shape, UNKNOWN, np.uint8)
    for finished in (True, False):
        for number, (feature, value) in enumerate(zip(annotation.features, values, strict=True), start=1):
            if feature.properties.finished is finished:
                _paint(labels, feature, number, value)
    return labels


def _class_of(feature: Feature, number: int, palette: Palette) -> int:
    """Class index of a shape."""
    if feature.properties.finished:
        return _BACKGROUND
    named = feature.properties.classification
    classes = ", ".join(palette.names)
    if named is None:
        raise BadInput(f"Shape {number} has no class.", remedy=f"Give it one of the palette's: {classes}.")
    try:
        return palette.index(named.name.strip())
    except KeyError:
        raise BadInput(
            f"Shape {number} is of class {named.name!r}, which the palette does not have.",
            remedy=f"The palette's classes are: {classes}.",
        ) from None


def _paint(labels: NDArray[np.uint8], feature: Feature, number: int, value: int) -> None:
    """Write `value` into the pixels that a shape covers."""
    match feature.geometry:
        case Point(coordinates=position):
            points = _points([position], number)
            boxes = _dots(points, labels.shape)
        case LineString(coordinates=positions):
            points = _points(positions, number)
            boxes = _line(points, feature.properties.width_px, labels.shape)
        case Polygon(coordinates=rings):
            boxes = _polygon([_points(ring, number) for ring in rings], labels.shape)
        case MultiPolygon(coordinates=polygons):
            boxes = (
                box
                for rings in polygons
                if rings
                for box in _polygon([_points(ring, number) for ring in rings], labels.shape)
            )
    for top, left, mask in boxes:
        labels[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = value


def _points(positions: Iterable[tuple[float, ...]], number: int) -> Points:
    points = np.array([position[:2] for position in positions], np.float64).reshape(-1, 2)
    if np.abs(points).max(initial=0) > _FARTHEST_PX:
        raise BadInput(
            f"Shape {number} has a corner more than {_FARTHEST_PX:,.0f} px away from the image.",
            remedy="Coordinates are pixels of this image, counted from its top left corner.",
        )
    return points


Box = tuple[int, int, Mask]
"""Top row, left column, and which of the pixels from there on are meant."""


def _dots(points: Points, shape: tuple[int, ...]) -> Iterator[Box]:
    """The pixels that points lie in."""
    for left, top in np.floor(points).astype(int).tolist():
        if 0 <= top < shape[0] and 0 <= left < shape[1]:
            yield top, left, np.ones((1, 1), np.bool_)


def _bands(top: float, bottom: float, left: float, right: float, shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The part of a rectangle that is in the image, in bands of bounded area: row from, row to, column from, to."""
    rows = [int(np.clip(np.ceil(edge - 0.5), 0, shape[0])) for edge in (top, bottom)]
    columns = [int(np.clip(np.ceil(edge - 0.5), 0, shape[1])) for edge in (left, right)]
    if columns[0] >= columns[1]:
        return
    step = max(1, _BAND_PX // (columns[1] - columns[0]))
    for row in range(rows[0], rows[1], step):
        yield row, min(row + step, rows[1]), *columns


def _polygon(rings: list[Points], shape: tuple[int, ...]) -> Iterator[Box]:
    """What the first ring encloses and none of the others does."""
    outer = rings[0]
    left, top = outer.min(axis=0)
    right, bottom = outer.max(axis=0)
    for band in _bands(top, bottom, left, right, shape):
        mask = _fill(outer, band)
        for hole in rings[1:]:
            mask &= ~_fill(hole, band)
        yield band[0], band[2], mask


def _fill(ring: Points, band: tuple[int, ...]) -> Mask:
    """Pixels of a band whose centre a ring encloses, by the even-odd rule; the ring need not be closed."""
    top, bottom, left, right = band
    flips = np.zeros((bottom - top, right - left + 1), np.uint8)
    ends = np.roll(ring, -1, axis=0)
    upward = (ring[:, 1] > ends[:, 1])[:, None]
    # Each edge runs downward, so two neighbours compute the same crossings from it, to the last bit.
    start, end = np.where(upward, ends, ring), np.where(upward, ring, ends)
    first = np.clip(np.ceil(start[:, 1] - 0.5), top, bottom).astype(np.int64)
    last = np.clip(np.ceil(end[:, 1] - 0.5), top, bottom).astype(np.int64)
    for edges, rows in _pairs(first, last):
        x0, y0 = start[edges].T
        x1, y1 = end[edges].T
        crossings = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(crossings - 0.5), left, right).astype(np.int64)
        np.bitwise_xor.at(flips, (rows - top, columns - left), 1)
    return np.bitwise_xor.accumulate(flips[:, :-1], axis=1).astype(np.bool_)


def _pairs(first: NDArray[np.int64], last: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Every (i, row) with `first[i] <= row < last[i]`, in batches of bounded length."""
    counts = last - first
    chosen = np.flatnonzero(counts > 0)
    ends = np.cumsum(counts[chosen])
    begin = 0
    while begin < len(chosen):
        done = ends[begin - 1] if begin else 0
        stop = max(begin + 1, int(np.searchsorted(ends, done + _BATCH, side="right")))
        batch = chosen[begin:stop]
        items = np.repeat(batch, counts[batch])
        within = np.arange(len(items)) - np.repeat(ends[begin:stop] - counts[batch] - done, counts[batch])
        yield items, first[items] + within
        begin = stop


def _line(points: Points, width_px: float, shape: tuple[int, ...]) -> Iterator[Box]:
    """Pixels whose centre is at most half the width from the line, and those that its corners lie in.

    A line thinner than a pixel is drawn one pixel wide: it has no gaps and is never empty.
    """
    radius = max(width_px, 1.0) / 2
    left, top = points.min(axis=0) - radius
    right, bottom = points.max(axis=0) + radius
    # One pixel more: here a centre exactly on the border counts on every side.
    for band in _bands(top - 1, bottom + 1, left - 1, right + 1, shape):
        yield band[0], band[2], _near(points, radius, band)
    yield from _dots(points, shape)


def _near(points: Points, radius: float, band: tuple[int, ...]) -> Mask:
    """Pixels of a band whose centre is within `radius` of a line.

    What lies within `radius` of one piece of the line is convex, so each row meets it in one interval.
    """
    top, bottom, left, right = band
    changes = np.zeros((bottom - top, right - left + 1), np.int32)
    starts, ends = points[:-1], points[1:]
    first = np.clip(np.floor(np.minimum(starts, ends)[:, 1] - radius), top, bottom).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(starts, ends)[:, 1] + radius), top, bottom).astype(np.int64)
    for pieces, rows in _pairs(first, last):
        low, high = _interval(starts[pieces], ends[pieces], radius, rows + 0.5)
        met = low <= high
        begin = np.clip(np.ceil(low[met] - 0.5), left, right).astype(np.int64)
        end = np.clip(np.floor(high[met] - 0.5) + 1, left, right).astype(np.int64)
        np.add.at(changes, (rows[met] - top, begin - left), 1)
        np.add.at(changes, (rows[met] - top, end - left), -1)
    return np.cumsum(changes[:, :-1], axis=1) > 0


def _interval(start: Points, end: Points, radius: float, y: Numbers) -> tuple[Numbers, Numbers]:
    """Lowest and highest x at height `y` that is within `radius` of a piece; low > high where there is none."""
    low, high = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for centre in (start, end):
        square = radius**2 - (y - centre[:, 1]) ** 2
        half = np.sqrt(np.maximum(square, 0))
        met = square >= 0
        low = np.where(met, np.minimum(low, centre[:, 0] - half), low)
        high = np.where(met, np.maximum(high, centre[:, 0] + half), high)
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])
    straight = length > 0
    unit = along / np.where(straight, length, 1)[:, None]
    down = y - start[:, 1]
    # With t along the piece and s across it: 0 <= t <= length and -radius <= s <= radius, both linear in x.
    t_low, t_high = _solve(unit[:, 0], unit[:, 1] * down, np.zeros_like(length), length)
    s_low, s_high = _solve(unit[:, 1], -unit[:, 0] * down, np.full_like(length, -radius), np.full_like(length, radius))
    b_low, b_high = np.maximum(t_low, s_low) + start[:, 0], np.minimum(t_high, s_high) + start[:, 0]
    met = straight & (b_low <= b_high)
    return np.where(met, np.minimum(low, b_low), low), np.where(met, np.maximum(high, b_high), high)


def _solve(slope: Numbers, offset: Numbers, least: Numbers, most: Numbers) -> tuple[Numbers, Numbers]:
    """The interval of x with `least <= slope * x + offset <= most`."""
    flat = slope == 0
    divisor = np.where(flat, 1, slope)
    edges = (least - offset) / divisor, (most - offset) / divisor
    inside = (least <= offset) & (offset <= most)
    low = np.where(flat, np.where(inside, -np.inf, np.inf), np.minimum(*edges))
    high = np.where(flat, np.where(inside, np.inf, -np.inf), np.maximum(*edges))
    return low, high
