"""Places in an image that are worth looking at: where the model does well or badly, and where it is in doubt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.metrics import confusion, scores
from axonlab_core.imaging.overlay import brightness_limits, stretched_rgb
from axonlab_core.learning.infer import CELL_PX, Image

EDGE_PX = 256
"""Edge of the square that is shown."""
CORE_PX = 128
"""Edge of the square in its middle that is meant, where somebody is to annotate."""
MOST_DOUBTFUL = 4
"""How many places in doubt a report shows: as many as somebody annotates in one go."""
_LEAST_LABELLED_PX = 200
_LEAST_DOUBT = 0.02
"""Below this, on average over a place, the model is as good as certain."""


class Frame(NamedTuple):
    """Rows `top … bottom - 1` and columns `left … right - 1` of an image."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, eq=False)
class Place:
    """A rectangle of an image, its upper left corner at `(left, top)` in the image's own pixels."""

    image: str
    top: int
    left: int
    picture: NDArray[np.uint8]
    """`(h, w, 3)`, contrast-stretched."""
    labels: NDArray[np.uint8]
    """`(h, w)`: what the model says."""
    truth: NDArray[np.uint8] | None
    """`(h, w)`: what was labelled, 255 = unknown; None where nothing was."""
    value: float
    """Of an example: mean Dice of the classes but the background. Of a place in doubt: the mean doubt."""

    @property
    def frame(self) -> Frame:
        """The square in its middle that is meant, or all of it where it is smaller than that, in the image's pixels."""
        height, width = min(self.height, CORE_PX), min(self.width, CORE_PX)
        top, left = self.top + (self.height - height) // 2, self.left + (self.width - width) // 2
        return Frame(top, top + height, left, left + width)

    @property
    def height(self) -> int:
        """Rows."""
        return self.labels.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.labels.shape[1]


def labelled_places(
    name: str,
    pixels: Image,
    truth: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    *,
    classes: int,
    corner: tuple[int, int] = (0, 0),
    most: int = 48,
) -> list[Place]:
    """Windows of a region that hold labels, with the model's Dice in each: the `most` that hold most of them.

    `corner` is the row and column of the image at which the region begins.
    """
    windows = [
        (top, left, int(np.count_nonzero(truth[top : top + EDGE_PX, left : left + EDGE_PX] != UNKNOWN)))
        for top in _starts(truth.shape[0])
        for left in _starts(truth.shape[1])
    ]
    kept = sorted((w for w in windows if w[2] >= _LEAST_LABELLED_PX), key=lambda w: -w[2])[:most]
    limits = brightness_limits(pixels) if kept else None
    found: list[Place] = []
    for top, left, _ in kept:
        box = np.s_[top : top + EDGE_PX, left : left + EDGE_PX]
        dice = _mean_dice(truth[box], labels[box], classes)
        if dice is not None:
            place = Place(
                name, corner[0] + top, corner[1] + left, stretched_rgb(pixels[box], limits), labels[box].copy(),
                truth[box].copy(), dice,
            )  # fmt: skip
            found.append(place)
    return found


def examples(places: Iterable[Place]) -> dict[str, Place]:
    """The worst of the places, a typical one and the best one, by what they are called."""
    by_dice = sorted(places, key=lambda place: place.value)
    chosen = {"weakest": by_dice[:1], "typical": by_dice[len(by_dice) // 2 :][:1], "strongest": by_dice[-1:]}
    told: dict[str, Place] = {}
    for name, one in chosen.items():
        if one and all(one[0] is not other for other in told.values()):
            told[name] = one[0]
    return told


def doubtful_places(
    name: str,
    pixels: Image,
    labels: NDArray[np.uint8],
    doubt: NDArray[np.float32],
    *,
    truth: NDArray[np.uint8] | None = None,
    corner: tuple[int, int] = (0, 0),
    most: int = 3,
) -> list[Place]:
    """Where the model is most undecided, best first: places that do not overlap, in what has no label yet.

    Parameters
    ----------
    doubt : (H / CELL_PX, W / CELL_PX) float32 array
        `Prediction.doubt` of the same pixels.
    corner : (int, int)
        Row and column of the image at which `pixels` begins.
    """
    unlabelled = np.ones_like(doubt) if truth is None else _cell_means(truth == UNKNOWN)
    core = max(1, CORE_PX // CELL_PX)
    worth = np.asarray(uniform_filter(doubt * unlabelled, core, mode="constant"), np.float32)
    limits = brightness_limits(pixels)
    found: list[Place] = []
    for row, column in _peaks(worth, core, most):
        top = _start((row * CELL_PX + CELL_PX // 2) - EDGE_PX // 2, labels.shape[0])
        left = _start((column * CELL_PX + CELL_PX // 2) - EDGE_PX // 2, labels.shape[1])
        box = np.s_[top : top + EDGE_PX, left : left + EDGE_PX]
        place = Place(
            name, corner[0] + top, corner[1] + left, stretched_rgb(pixels[box], limits), labels[box].copy(),
            None if truth is None else truth[box].copy(), float(worth[row, column]),
        )  # fmt: skip
        found.append(place)
    return found


def most_doubtful(places: Sequence[Place], most: int) -> list[Place]:
    """The `most` places with most doubt; no more than two of one image as long as there are others."""
    by_doubt = sorted(places, key=lambda place: -place.value)
    chosen = [p for n, p in enumerate(by_doubt) if sum(q.image == p.image for q in by_doubt[:n]) < 2]  # noqa: PLR2004
    rest = [place for place in by_doubt if place not in chosen]
    return (chosen + rest)[:most]


def _peaks(worth: NDArray[np.float32], core: int, most: int) -> Iterator[tuple[int, int]]:
    """Cells of the largest values, at least two cores apart."""
    left = worth.copy()
    for _ in range(most):
        row, column = (int(i) for i in np.unravel_index(left.argmax(), left.shape))
        if left[row, column] < _LEAST_DOUBT:
            return
        yield row, column
        apart = 2 * core
        left[max(0, row - apart) : row + apart + 1, max(0, column - apart) : column + apart + 1] = 0


def _mean_dice(truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int) -> float | None:
    dice = [score.dice for score in scores(confusion(truth, labels, classes), list(map(str, range(classes)))).values()]
    told = [value for value in dice[1:] if value is not None]
    return float(np.mean(told)) if told else None


def _cell_means(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`(H / CELL_PX, W / CELL_PX)`: share of each cell's pixels that are in `mask`."""
    height, width = mask.shape
    rows = np.add.reduceat(mask, np.arange(0, height, CELL_PX), axis=0, dtype=np.float32)
    cells = np.add.reduceat(rows, np.arange(0, width, CELL_PX), axis=1)
    return np.minimum(cells / CELL_PX**2, 1)


def _starts(length_px: int) -> list[int]:
    """Where windows begin, so that they cover the whole length and none reaches beyond it."""
    return sorted({_start(first, length_px) for first in range(0, length_px, EDGE_PX)})


def _start(wanted: int, length_px: int) -> int:
    return max(0, min(wanted, length_px - EDGE_PX))
