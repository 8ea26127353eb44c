from __future__ import annotations

import csv
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axonlab_core.contract.annotation import Annotation
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.rasterise import rasterise
from axonlab_core.imaging.read import read_labels

SHARED = Path(__file__).parents[4] / "shared" / "data" / "axon_sem"
SAMPLE = Path(__file__).parents[3] / "notebooks" / "data" / "axon_sem"
SHAPE = (24, 30)
UNKNOWN = 255


def shape_of(kind, coordinates, name="axon", **properties):
    if name is not None:
        properties["classification"] = {"name": name}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def polygon(*rings, **more):
    return shape_of("Polygon", [[*ring, ring[0]] for ring in rings], **more)


def box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def paint(*features, shape=SHAPE):
    annotation = Annotation.model_validate({"type": "FeatureCollection", "features": features})
    return rasterise(annotation, shape=shape, palette=AXON_PALETTE)


def covered(*features, shape=SHAPE):
    return paint(*features, shape=shape) != UNKNOWN


def distance_to_line(points, shape):
    """Distance of every pixel centre to a line, computed the slow way."""
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    nearest = np.full(shape, np.inf)
    for start, end in zip(np.array(points, float)[:-1], np.array(points, float)[1:], strict=True):
        along = end - start
        length = along @ along
        share = ((xs - start[0]) * along[0] + (ys - start[1]) * along[1]) / (length or 1)
        share = np.clip(share, 0, 1)
        nearest = np.minimum(nearest, np.hypot(xs - start[0] - share * along[0], ys - start[1] - share * along[1]))
    return nearest


# --- polygons ---


def test_nothing_drawn_is_unknown():
    labels = paint()
    assert labels.dtype == np.uint8
    assert (labels == UNKNOWN).all()


def test_pixel_corners_are_the_coordinates():
    labels = paint(polygon(box(3, 2, 7, 5)))
    expected = np.full(SHAPE, UNKNOWN, np.uint8)
    expected[2:5, 3:7] = 2
    assert np.array_equal(labels, expected)


def test_a_pixel_belongs_to_the_shape_that_has_its_centre():
    assert covered(polygon(box(3.4, 2.4, 6.6, 5.6)))[2:6, 3:7].all()
    assert covered(polygon(box(3.4, 2.4, 6.6, 5.6))).sum() == 16
    assert covered(polygon(box(3.6, 2.6, 6.4, 5.4))).sum() == 4
    assert not covered(polygon(box(3.6, 2.6, 4.4, 3.4))).any()


def test_a_hole_stays_unknown_and_may_be_filled():
    ring = polygon(box(2, 2, 12, 12), box(5, 5, 9, 9), name="myelin")
    labels = paint(ring)
    assert (labels == 1).sum() == 100 - 16
    assert (labels[5:9, 5:9] == UNKNOWN).all()
    labels = paint(ring, polygon(box(5, 5, 9, 9), name="axon"))
    assert (labels == 1).sum() == 100 - 16
    assert (labels[5:9, 5:9] == 2).all()


def test_a_hole_takes_away_from_its_own_polygon_only():
    assert covered(polygon(box(2, 2, 6, 6), box(4, 4, 20, 20))).sum() == 16 - 4
    assert covered(polygon(box(2, 2, 12, 12), box(3, 3, 7, 7), box(5, 5, 9, 9))).sum() == 100 - 28
    parts = [[box(2, 2, 9, 9), box(3, 3, 6, 6)], [box(4, 4, 5, 5)]]
    closed = [[[*ring, ring[0]] for ring in rings] for rings in parts]
    assert covered(shape_of("MultiPolygon", closed)).sum() == 49 - 9 + 1


def test_a_ring_that_crosses_itself_is_even_odd():
    bow_tie = [(2, 2), (10, 10), (10, 2), (2, 10)]
    mask = covered(polygon(bow_tie))
    assert mask[5].nonzero()[0].tolist() == [2, 3, 4, 6, 7, 8, 9]
    assert not mask[2, 3:9].any()
    twice_round = box(2, 2, 6, 6) + box(2, 2, 6, 6)
    assert not covered(polygon(twice_round)).any()


def test_what_lies_outside_is_clipped():
    assert covered(polygon(box(-50, -50, 3, 4))).sum() == 12
    assert covered(polygon(box(27, 20, 500, 500))).sum() == 12
    assert covered(polygon(box(-1e6, -1e6, 1e6, 1e6))).all()
    assert not covered(polygon(box(40, 40, 50, 50))).any()
    assert not covered(polygon(box(-9, 3, -2, 9))).any()
    assert not covered(shape_of("Point", (-0.5, 3)), shape_of("Point", (30, 3)), shape_of("Point", (3, 24))).any()
    hole_outside = polygon(box(-5, -5, 5, 5), box(-4, -4, 2, 2))
    assert covered(hole_outside).sum() == 25 - 4


coordinate = st.integers(-32, 256).map(lambda eighth: eighth / 8)
corner = st.tuples(coordinate, coordinate)
whole_corner = st.tuples(st.integers(-3, 33), st.integers(-3, 27))


@settings(max_examples=100, deadline=None)
@given(st.lists(corner, min_size=3, max_size=9), st.integers(0, 9), st.integers(0, 9))
def test_moving_by_whole_pixels_moves_the_pixels(ring, right, down):
    large = (60, 60)
    start = [(x + 10, y + 10) for x, y in ring]
    here = covered(polygon(start), shape=large)
    there = covered(polygon([(x + right, y + down) for x, y in start]), shape=large)
    # Crossings are rounded: a centre exactly on a sloping edge may go either way.
    sure = distance_to_line([*start, start[0]], large) > 1e-9
    assert np.array_equal(here[sure], np.roll(there, (-down, -right), (0, 1))[sure])


@settings(max_examples=100, deadline=None)
@given(coordinate, st.integers(-90, 90), st.booleans())
def test_a_cut_gives_every_pixel_to_one_side_and_one_only(across, slant, upright):
    """Wherever the cut goes, through pixel centres too."""
    sides = [(-90, across), (90, across + slant)]
    low = [*sides, (90, -900), (-90, -900)]
    high = [*sides, (90, 900), (-90, 900)]
    if upright:
        low, high = [(y, x) for x, y in low], [(y, x) for x, y in high]
    assert np.array_equal(covered(polygon(low)), ~covered(polygon(high)))


@settings(max_examples=100, deadline=None)
@given(st.lists(corner, min_size=3, max_size=9))
def test_the_parts_of_a_shape_make_the_whole(ring):
    """A fan of triangles from one corner covers the inside an odd number of times, the outside an even one."""
    fan = np.zeros(SHAPE, np.int64)
    for second, third in pairwise(ring[1:]):
        fan += covered(polygon([ring[0], second, third]))
    assert np.array_equal(fan % 2 == 1, covered(polygon(ring)))


@settings(max_examples=100, deadline=None)
@given(st.lists(whole_corner, min_size=1, max_size=8))
def test_area_equals_pixel_count_when_edges_lie_between_pixels(steps):
    """A staircase along pixel edges, by its shoelace area and by its pixels."""
    heights = [max(1, y) for _, y in steps]
    ring = [(0, 0), (len(heights), 0)]
    for column in range(len(heights), 0, -1):
        ring += [(column, heights[column - 1]), (column - 1, heights[column - 1])]
    x, y = np.array(ring, float).T
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    mask = covered(polygon(ring), shape=(30, 30))
    assert mask.sum() == area == sum(heights)


# --- lines and points ---


@settings(max_examples=150, deadline=None)
@given(st.lists(corner, min_size=2, max_size=6), st.sampled_from([0.2, 1, 1.5, 3, 8, 40]))
def test_a_line_covers_what_is_within_half_its_width(points, width):
    mask = covered(shape_of("LineString", points, width_px=width))
    distance = distance_to_line(points, SHAPE)
    radius = max(width, 1) / 2
    expected = distance <= radius
    for x, y in points:
        if 0 <= x < SHAPE[1] and 0 <= y < SHAPE[0]:
            expected[int(y), int(x)] = True
    certain = np.abs(distance - radius) > 1e-9
    assert np.array_equal(mask[certain], expected[certain])


def test_a_centre_at_half_the_width_counts():
    mask = covered(shape_of("LineString", [(4, 10), (20, 10)], width_px=3))
    assert mask[:, 10].nonzero()[0].tolist() == [8, 9, 10, 11]
    mask = covered(shape_of("LineString", [(4, 10.5), (20, 10.5)], width_px=4))
    assert mask[:, 10].nonzero()[0].tolist() == [8, 9, 10, 11, 12]


@settings(max_examples=100, deadline=None)
@given(st.tuples(st.floats(0, 29.99), st.floats(0, 23.99)), st.tuples(st.floats(0, 29.99), st.floats(0, 23.99)))
def test_a_thin_line_has_no_gaps_and_is_never_empty(start, end):
    mask = covered(shape_of("LineString", [start, end], width_px=0.01))
    rows, columns = mask.nonzero()
    assert len(rows)
    if abs(end[0] - start[0]) >= abs(end[1] - start[1]):
        assert np.array_equal(np.unique(columns), np.arange(columns.min(), columns.max() + 1))
    else:
        assert np.array_equal(np.unique(rows), np.arange(rows.min(), rows.max() + 1))
    for x, y in (start, end):
        assert mask[int(y), int(x)]


def test_a_point_paints_the_pixel_that_it_lies_in():
    labels = paint(shape_of("Point", (4.99, 7.0), name="Myelin"))
    assert np.argwhere(labels != UNKNOWN).tolist() == [[7, 4]]
    assert labels[7, 4] == 1


# --- order, finished regions, classes ---


def test_later_shapes_lie_over_earlier_ones():
    first, second = polygon(box(2, 2, 10, 10), name="myelin"), polygon(box(6, 6, 14, 14), name="axon")
    assert paint(first, second)[7, 7] == 2
    assert paint(second, first)[7, 7] == 1


def test_a_finished_region_is_background_below_everything():
    region = polygon(box(0, 0, 12, 12), name=None, finished=True)
    axon = polygon(box(4, 4, 8, 8))
    expected = np.full(SHAPE, UNKNOWN, np.uint8)
    expected[:12, :12] = 0
    expected[4:8, 4:8] = 2
    assert np.array_equal(paint(axon, region), expected)
    assert np.array_equal(paint(region, axon), expected)
    named = polygon(box(0, 0, 12, 12), name="Region*", finished=True)
    assert np.array_equal(paint(axon, named), expected)


def test_background_may_be_drawn():
    labels = paint(polygon(box(0, 0, 12, 12)), polygon(box(4, 4, 8, 8), name="Background"))
    assert (labels[4:8, 4:8] == 0).all()
    assert labels[0, 0] == 2


def test_an_unknown_class_is_named_with_the_palette():
    with pytest.raises(BadInput, match=r"Shape 2 is of class 'nucleus'.*background, myelin, axon"):
        paint(polygon(box(0, 0, 3, 3)), polygon(box(0, 0, 3, 3), name="nucleus"))
    with pytest.raises(BadInput, match=r"Shape 1 has no class.*background, myelin, axon"):
        paint(polygon(box(0, 0, 3, 3), name=None))


# --- size and real shapes ---


def test_two_thousand_polygons_are_quick():
    rng = np.random.default_rng(0)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    features = []
    for x, y in rng.uniform(0, 2000, (2000, 2)):
        radius = rng.uniform(5, 60)
        features.append(polygon(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1).tolist()))
    annotation = Annotation.model_validate({"type": "FeatureCollection", "features": features})
    began = time.process_time()
    labels = rasterise(annotation, shape=(2000, 2000), palette=AXON_PALETTE)
    assert time.process_time() - began < 2
    assert 0.8 < (labels == 2).mean() < 1


def test_bands_of_a_large_image_meet():
    wide = (40, 1_000_000)
    mask = covered(polygon([(0, 0), (1_000_000, 0), (1_000_000, 40)]), shape=wide)
    assert mask.sum(axis=1).tolist() == [1_000_000 - int(25_000 * (row + 0.5)) for row in range(40)]


@pytest.mark.parametrize("name", ["rat2_data5", "rat3_data9"])
def test_shared_outlines_give_back_their_mask(name):
    outlines = SHARED / "annotations" / f"{name}_axons.geojson"
    if not outlines.exists():
        pytest.skip("the shared data set is not beside this checkout")
    with (SHARED / "manifest.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["name"] == name)
    shape = int(row["height"]), int(row["width"])
    mask = read_labels(SHARED / "masks" / f"{name}.png", shape=shape, palette=AXON_PALETTE)
    labels = read_labels(outlines, shape=shape, palette=AXON_PALETTE)
    assert np.array_equal(labels, np.where(mask == 2, 2, UNKNOWN))
    for feature in json.loads(outlines.read_text())["features"]:
        assert covered(feature, shape=shape).sum() == feature["properties"]["area_px"]


def test_real_masks_survive_as_rows_of_polygons():
    """Every run of axon pixels in a row as its own rectangle gives the same axons again."""
    mask = read_labels(SAMPLE / "masks" / "rat3_data10.png", shape=(758, 737), palette=AXON_PALETTE)[:60] == 2
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    runs = [box(left, row, right, row + 1) for (row, left), (_, right) in zip(starts, ends, strict=True)]
    assert np.array_equal(covered(*(polygon(run) for run in runs), shape=mask.shape), mask)
