"""How well a prediction agrees with labels, pixel by pixel and object by object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import ClassScores, ObjectScores
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.objects import OBJECT_IOUS, object_counts


def confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Number of pixels by true class (row) and predicted class (column).

    Parameters
    ----------
    truth : (H, W) uint8 array
        Class index of each pixel; pixels of 255 are left out.
    prediction : (H, W) uint8 array
        Class index of each pixel.
    classes : int
        Number of classes, K.

    Returns
    -------
    (K, K) int64 array

    Raises
    ------
    BadInput
        If the shapes differ, or a counted pixel holds something else than 0 … K - 1.
    """
    if truth.shape != prediction.shape:
        raise BadInput(
            f"Labels of shape {truth.shape} cannot be compared with a prediction of shape {prediction.shape}.",
            remedy="Compare label images of the same image.",
        )
    known = truth != UNKNOWN
    true, predicted = truth[known], prediction[known]
    for what, values in (("labels", true), ("prediction", predicted)):
        if values.size and values.max() >= classes:
            raise BadInput(
                f"The {what} hold the value {values.max()}, and there are {classes} classes (0 to {classes - 1}).",
                remedy="Check that the palette has all the classes, in the order of their values.",
            )
    pairs = true.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


class Agreement(NamedTuple):
    """What scores are made of; agreements of several images may be added up."""

    confusion: NDArray[np.int64]
    """`(K, K)` pixels by true class (row) and predicted class (column)."""
    objects: NDArray[np.int64]
    """`(K, 2, 3)` objects by class, IoU threshold, and true positive, false positive, false negative."""

    def scores(self, names: Sequence[str]) -> dict[str, ClassScores]:
        """Dice, IoU and the objects' F1 and AP of each class by name."""
        pixels = scores(self.confusion, names)
        return {
            name: score if k == 0 else score.model_copy(update={"objects": _object_scores(self.objects[k])})
            for k, (name, score) in enumerate(pixels.items())
        }


def agreement(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> Agreement:
    """How two `(H, W)` uint8 label images agree, where `truth` is not 255.

    Raises
    ------
    BadInput
        As `confusion`.
    """
    return Agreement(confusion(truth, prediction, classes), object_counts(truth, prediction, classes))


def total(agreements: Iterable[Agreement], classes: int) -> Agreement:
    """All of them taken together, as if they were parts of one image."""
    confusion, objects = np.zeros((classes,) * 2, np.int64), np.zeros((classes, len(OBJECT_IOUS), 3), np.int64)
    for one in agreements:
        confusion, objects = confusion + one.confusion, objects + one.objects
    return Agreement(confusion, objects)


def scores(confusion: NDArray[np.int64], names: Sequence[str]) -> dict[str, ClassScores]:
    """Dice and IoU of each class; None where it occurs neither in the labels nor in the prediction.

    Parameters
    ----------
    confusion : (K, K) int64 array
        Pixels by true class (row) and predicted class (column).
    names : sequence of K str
        Class names by index.

    References
    ----------
    Dice, L. R. (1945), https://doi.org/10.2307/1932409

    Examples
    --------
    >>> scores(np.array([[8, 0], [1, 1]]), ["background", "axon"])["axon"]
    ClassScores(dice=0.6666666666666666, iou=0.5, labelled_px=2, objects=())
    """
    agreed = np.diagonal(confusion)
    either = confusion.sum(0) + confusion.sum(1)
    return {
        name: ClassScores(
            dice=float(2 * agreed[k] / either[k]) if either[k] else None,
            iou=float(agreed[k] / (either[k] - agreed[k])) if either[k] else None,
            labelled_px=int(confusion[k].sum()),
        )
        for k, name in enumerate(names)
    }


def mean_scores(images: Iterable[Mapping[str, ClassScores]], names: Sequence[str]) -> dict[str, ClassScores]:
    """Mean over the images of each class's scores; images where the class does not occur are left out.

    Numbers of pixels and objects are summed up, the objects' F1 and AP are means as well.
    """
    rows = list(images)
    return {
        name: ClassScores(
            dice=_mean(row[name].dice for row in rows),
            iou=_mean(row[name].iou for row in rows),
            labelled_px=sum(row[name].labelled_px or 0 for row in rows),
            objects=tuple(map(_mean_objects, zip(*(row[name].objects for row in rows), strict=True))),
        )
        for name in names
    }


def _object_scores(counts: NDArray[np.int64]) -> tuple[ObjectScores, ...]:
    told: list[ObjectScores] = []
    for iou, (found, invented, missed) in zip(OBJECT_IOUS, counts.tolist(), strict=True):
        every = found + invented + missed
        there_are_some = found + missed > 0
        told.append(
            ObjectScores(
                iou=iou,
                true_positives=found,
                false_positives=invented,
                false_negatives=missed,
                f1=2 * found / (found + every) if there_are_some else None,
                ap=found / every if there_are_some else None,
            )
        )
    return tuple(told)


def _mean_objects(images: tuple[ObjectScores, ...]) -> ObjectScores:
    return ObjectScores(
        iou=images[0].iou,
        true_positives=sum(image.true_positives for image in images),
        false_positives=sum(image.false_positives for image in images),
        false_negatives=sum(image.false_negatives for image in images),
        f1=_mean(image.f1 for image in images),
        ap=_mean(image.ap for image in images),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
