"""How well a prediction agrees with labels, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import ClassScores
from axonlab_core.contract.palette import UNKNOWN


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
    ClassScores(dice=0.6666666666666666, iou=0.5)
    """
    agreed = np.diagonal(confusion)
    either = confusion.sum(0) + confusion.sum(1)
    return {
        name: ClassScores(
            dice=float(2 * agreed[k] / either[k]) if either[k] else None,
            iou=float(agreed[k] / (either[k] - agreed[k])) if either[k] else None,
        )
        for k, name in enumerate(names)
    }


def mean_scores(images: Iterable[Mapping[str, ClassScores]], names: Sequence[str]) -> dict[str, ClassScores]:
    """Mean over the images of each class's Dice and IoU; images where the class does not occur are left out."""
    rows = list(images)

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    return {
        name: ClassScores(dice=mean(row[name].dice for row in rows), iou=mean(row[name].iou for row in rows))
        for name in names
    }
