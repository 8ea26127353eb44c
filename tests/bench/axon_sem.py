"""What the benchmarks of the recipe share: the data, strokes drawn on it, and the scores on rat2."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from axonlab_core.contract.palette import AXON_PALETTE, UNKNOWN
from axonlab_core.imaging.metrics import confusion, scores

sys.path.append(str(Path(__file__).parents[1]))  # what benchmarks share with tests
import workspaces

DATA = Path(__file__).parents[3] / "shared" / "data" / "axon_sem"
NAMES = AXON_PALETTE.names
AXON, MYELIN = NAMES.index("axon"), NAMES.index("myelin")


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of the set with its dense labels."""

    name: str
    split: str
    group: str
    pixel_size_um: float
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def pictures(*splits: str) -> list[Picture]:
    """The images of these splits."""
    with (DATA / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in splits]

    def read(folder: str, name: str) -> NDArray[np.uint8]:
        return imagecodecs.png_decode((DATA / folder / f"{name}.png").read_bytes())

    return [
        Picture(
            row["name"], row["split"], row["animal"], float(row["pixel_size_um"]), read("images", row["name"]),
            read("masks", row["name"]),
        )
        for row in rows
    ]  # fmt: skip


def labels_for(picture: Picture, kind: str, seed: int) -> NDArray[np.uint8]:
    """Labels to learn from: `dense`, `strokes`, or `strokes-as-background` (what is not stroked is background)."""
    if kind == "dense" or picture.split != "train":
        return picture.labels
    drawn = strokes(picture.labels, np.random.default_rng([seed, len(picture.name), *picture.name.encode()]))
    return np.where(drawn == UNKNOWN, 0, drawn).astype(np.uint8) if kind == "strokes-as-background" else drawn


def lay_out(root: Path, kind: str, seed: int) -> Path:
    """A workspace whose data set is the `train` split (and `val`, to choose weights by) with labels of that kind."""
    images = {
        p.name: (
            p.pixels,
            labels_for(p, kind, seed),
            {"pixel_size_um": p.pixel_size_um, "group": p.group, "split": p.split},
        )
        for p in pictures("train", "val")
    }
    return workspaces.lay_out(root, images)


def strokes(labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a careful student would stroke: (H, W) labels, 255 where nothing was drawn.

    Polylines 3 to 5 px wide whose middle stays 3 px or more inside borders, in at most 15 % of the axons and in
    those axons' own sheaths, and in the background, half of it in the gaps between fibres; together at most
    2 % of the pixels.
    """
    axons, count = ndimage.label(labels == AXON)
    chosen = rng.permutation(np.arange(1, count + 1))[: int(0.15 * count)]
    away, nearest = ndimage.distance_transform_edt(axons == 0, return_indices=True)
    owner = axons[tuple(nearest)]
    inside = {k: ndimage.distance_transform_edt(labels == k) for k in (0, MYELIN, AXON)}
    mine = np.isin(owner, chosen)
    places = {
        AXON: (inside[AXON] >= 3) & mine,
        MYELIN: (inside[MYELIN] >= 3) & mine & (away < 20),
        0: inside[0] >= 3,
    }
    gaps = places[0] & (inside[0] <= 5)
    drawn = np.full(labels.shape, UNKNOWN, np.uint8)
    for k, where, share in (
        (AXON, places[AXON], 0.006), (MYELIN, places[MYELIN], 0.006), (0, gaps, 0.004), (0, places[0], 0.004),
    ):  # fmt: skip
        _draw(drawn, k, where, int(share * labels.size), rng)
    assert (drawn != UNKNOWN).mean() <= 0.02
    return drawn


def _draw(drawn: NDArray[np.uint8], k: int, where: NDArray[np.bool_], most_px: int, rng: np.random.Generator) -> None:
    """Strokes of class k along `where`, until there is no room for another or `most_px` are drawn."""
    starts = np.argwhere(where)
    begun_px, tries = int((drawn == k).sum()), 0
    while len(starts) and tries < 5000 and (drawn == k).sum() - begun_px < most_px - 300:
        tries += 1
        path = _walk(where, starts[rng.integers(len(starts))].astype(float), int(rng.integers(4, 13)), rng)
        if len(path) > 1:
            xy = np.rint(np.array(path)[:, ::-1]).astype(np.int32)
            cv2.polylines(drawn, [xy.reshape(-1, 1, 2)], isClosed=False, color=k, thickness=int(rng.integers(3, 6)))


def _walk(
    where: NDArray[np.bool_], start: NDArray[np.float64], vertices: int, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """A polyline of vertices 4 px apart that stays within `where`."""
    path, angle = [start], rng.uniform(0, 2 * np.pi)
    for _ in range(vertices):
        for turn in (0, *rng.permutation([-0.4, 0.4]), *rng.permutation([-0.9, 0.9]), *rng.permutation([-1.4, 1.4])):
            ray = np.array([np.sin(angle + turn), np.cos(angle + turn)])
            ahead = np.rint(path[-1] + ray * np.arange(1, 5)[:, None]).astype(int)
            if (ahead >= 0).all() and (ahead < where.shape).all() and where[tuple(ahead.T)].all():
                path.append(path[-1] + 4 * ray)
                angle += turn
                break
        else:
            break
    return path


def scored(picture: Picture, predicted: NDArray[np.uint8]) -> dict[str, float]:
    """Dice of axon and myelin and F1 of the axons as objects (IoU above 0.5), on the image's own pixels."""
    found = scores(confusion(picture.labels, predicted, len(NAMES)), NAMES)
    return {
        "axon": round(found["axon"].dice or 0.0, 4),
        "myelin": round(found["myelin"].dice or 0.0, 4),
        "axon_f1": round(object_f1(picture.labels == AXON, predicted == AXON), 4),
    }


def object_f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """F1 of connected components; two are the same if their IoU is above 0.5, so no component has two partners."""
    (true, trues), (found, founds) = ndimage.label(truth), ndimage.label(predicted)
    both = (true > 0) & (found > 0)
    pairs, shared = np.unique(np.stack([true[both], found[both]]), axis=1, return_counts=True)
    sizes = np.bincount(true.ravel())[pairs[0]] + np.bincount(found.ravel())[pairs[1]] - shared
    return 2 * int((shared / sizes > 0.5).sum()) / max(1, trues + founds)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The results so far."""
    if path.is_file():
        yield from map(json.loads, path.read_text().splitlines())


def add_row(path: Path, row: dict[str, Any]) -> None:
    """One more result."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
