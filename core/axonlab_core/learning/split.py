"""What is trained on and what is validated on: decided by group, before any tile is cut.

Images marked `test` are neither. Marks are kept; where nothing is marked for validation, a group is set
aside, else an image, else (with one or two images) a part of each image, and `scope` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetImage, Split
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.learning.prepare import PreparedImage

Scope = Literal["other-group", "other-image", "same-image"]
_VALIDATION_SHARE = 0.2
_FEW_IMAGES = 2
_SMALLEST_PART_PX = 16
_LEAST_KEPT = 0.5
"""Share of an image's labels that must remain to train on when a part is set aside."""


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of a prepared image: rows `top … bottom - 1`, columns `left … right - 1`."""

    image: PreparedImage
    top: int
    bottom: int
    left: int
    right: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array `(H, W, …)`."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Its label image."""
        return self.image.labels[self.box]

    @property
    def pixels(self) -> NDArray[np.float32]:
        """Its normalised pixels."""
        return self.image.pixels[self.box]


@dataclass(frozen=True, eq=False)
class Division:
    """Regions to train on and regions to validate on; they share no pixel."""

    train: tuple[Region, ...]
    val: tuple[Region, ...]
    scope: Scope


def whole(image: PreparedImage) -> Region:
    """The region that is all of `image`."""
    return Region(image, 0, image.labels.shape[0], 0, image.labels.shape[1])


def divide(images: Sequence[PreparedImage], test: Sequence[DatasetImage], *, tile_px: int) -> Division:
    """Divide labelled images between training and validation.

    Parameters
    ----------
    images : sequence of PreparedImage
        None of them marked `test`.
    test : sequence of DatasetImage
        Those that are: an image whose mark is `auto` and that shares a group with one of them is left out.
    tile_px : int
        Width of the band between the parts of an image that is divided itself.

    Raises
    ------
    BadInput
        If nothing is left to train on.
    """
    touched = {group_of(image) for image in test}
    usable = [i for i in images if i.source.split != Split.auto or group_of(i.source) not in touched]
    if not usable:
        raise BadInput(
            "Every labelled image belongs to a group that is set aside for testing.",
            remedy="Mark some images of other groups for training.",
        )
    marked = {group_of(i.source) for i in usable if i.source.split == Split.val}
    val = [
        i
        for i in usable
        if i.source.split == Split.val or (i.source.split == Split.auto and group_of(i.source) in marked)
    ]
    train = [i for i in usable if i not in val]
    if not train:  # everything is marked for validation: there must be something to learn from
        train, val = val, []
    if not val:
        if len(train) <= _FEW_IMAGES:
            return _divide_each(train, tile_px)
        train, val = _set_aside(train)
    apart = {group_of(i.source) for i in train}.isdisjoint(group_of(i.source) for i in val)
    scope = "other-group" if apart else "other-image"
    return Division(tuple(whole(i) for i in train), tuple(whole(i) for i in val), scope)


def labelled_pixels(region: Region) -> NDArray[np.int64]:
    """`(K,)` labelled pixels of each class in a region."""
    labels = region.labels
    return np.bincount(labels[labels != UNKNOWN], minlength=len(region.image.counts))


def group_of(image: DatasetImage) -> str:
    """What `image` must not be torn apart from."""
    return image.group or f"image:{image.name}"


def _set_aside(images: list[PreparedImage]) -> tuple[list[PreparedImage], list[PreparedImage]]:
    """Of several images, the group (or image) for validation that leaves all classes and is nearest to a fifth."""
    automatic = {group_of(i.source) for i in images if i.source.split == Split.auto}
    groups = sorted({group_of(i.source) for i in images})
    if len(groups) > 1:
        candidates = [[i for i in images if group_of(i.source) == group] for group in groups]
    else:
        candidates = [[i] for i in images]
    total = np.sum([i.counts for i in images], axis=0)

    def badness(part: list[PreparedImage]) -> tuple[int, bool, int, float]:
        inside = np.sum([i.counts for i in part], axis=0)
        lost = int(np.count_nonzero((total > 0) & (total - inside == 0)))
        missing = int(np.count_nonzero((total > 0) & (inside == 0)))
        marked_train = bool(automatic) and group_of(part[0].source) not in automatic
        return lost, marked_train, missing, abs(float(inside.sum() / total.sum()) - _VALIDATION_SHARE)

    val = min(candidates, key=badness)
    return [i for i in images if i not in val], val


def _divide_each(images: Sequence[PreparedImage], tile_px: int) -> Division:
    """Cut each image in two, with a band of one tile between that belongs to neither."""
    pairs = [_cut(image, tile_px) for image in images]
    train = tuple(whole(i) if pair is None else pair[0] for i, pair in zip(images, pairs, strict=True))
    val = tuple(pair[1] for pair in pairs if pair is not None)
    return Division(train, val, "same-image")


def _cut(image: PreparedImage, band_px: int) -> tuple[Region, Region] | None:
    """The best of four cuts (a fifth of the labels on either side, along either axis), or None if none will do."""
    occurring = image.counts > 0
    best, best_worth = None, (int(occurring.sum()) - 1, 0, 0.0)
    for axis in (0, 1):
        for last in (True, False):
            train, val = _parts(image, axis, band_px, last=last)
            if min(train.labels.shape) < _SMALLEST_PART_PX or min(val.labels.shape) < _SMALLEST_PART_PX:
                continue
            kept, seen = (labelled_pixels(part) for part in (train, val))
            worth = (int((kept > 0).sum()), int((seen > 0).sum()), float(kept.sum() / image.counts.sum()))
            if worth > best_worth and worth[1] > 0 and worth[2] >= _LEAST_KEPT:
                best, best_worth = (train, val), worth
    return best


def _parts(image: PreparedImage, axis: int, band_px: int, *, last: bool) -> tuple[Region, Region]:
    height, width = image.labels.shape
    along = np.cumsum((image.labels != UNKNOWN).sum(axis=1 - axis))
    share = 1 - _VALIDATION_SHARE if last else _VALIDATION_SHARE
    cut = int(np.searchsorted(along, share * along[-1])) + 1
    length = (height, width)[axis]
    if last:
        train_span, val_span = (0, max(cut - band_px, 0)), (cut, length)
    else:
        train_span, val_span = (min(cut + band_px, length), length), (0, cut)
    if axis == 0:
        return Region(image, *train_span, 0, width), Region(image, *val_span, 0, width)
    return Region(image, 0, height, *train_span), Region(image, 0, height, *val_span)
