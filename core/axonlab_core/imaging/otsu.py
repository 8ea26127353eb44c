"""Otsu's thresholds as a label image: what a segmentation reaches without any learning.

Thresholds say which pixels are darker and which are brighter, not what they are. Which class is the dark
one is found on the training labels (`fit_polarity`) and never on the image that is scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.palette import UNKNOWN

_BINS = 256


def fit_polarity(
    labelled: Iterable[tuple[NDArray[np.uint8] | NDArray[np.uint16], NDArray[np.uint8]]], classes: int
) -> tuple[int, ...]:
    """Class indices from the darkest to the brightest, as far as they occur in the labels.

    Parameters
    ----------
    labelled : iterable of (image, labels)
        Training images `(H, W)` or `(H, W, 3)` and their label images `(H, W)`, 255 = unknown.
    classes : int
        Number of classes, K.
    """
    brightness, count = np.zeros(classes), np.zeros(classes)
    for image, labels in labelled:
        grey = _grey(image)
        relative = (grey - grey.mean()) / max(float(grey.std()), 1e-6)
        known = (labels != UNKNOWN) & (labels < classes)
        brightness += np.bincount(labels[known], weights=relative[known], minlength=classes)
        count += np.bincount(labels[known], minlength=classes)
    occurring = np.flatnonzero(count)
    return tuple(int(k) for k in occurring[np.argsort(brightness[occurring] / count[occurring], kind="stable")])


def otsu_labels(image: NDArray[np.uint8] | NDArray[np.uint16], dark_to_bright: Sequence[int]) -> NDArray[np.uint8]:
    """Label image by Otsu's thresholds: the darkest pixels get the first class of `dark_to_bright`, and so on.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) array of uint8 or uint16
    dark_to_bright : sequence of int
        What `fit_polarity` found.

    Returns
    -------
    (H, W) uint8 array
    """
    grey = _grey(image)
    thresholds = otsu_thresholds(grey, len(dark_to_bright))
    return np.asarray(dark_to_bright, np.uint8)[np.searchsorted(thresholds, grey, side="left")]


def otsu_thresholds(grey: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    """The `classes - 1` thresholds that separate brightness best: they maximise the variance between classes.

    Found exactly, by dynamic programming over the histogram's bins: trying every combination takes
    hours for more than five classes.

    References
    ----------
    Liao, Chen & Chung (2001), A fast algorithm for multilevel thresholding, J. Inf. Sci. Eng. 17, 713-727.
    """
    counts, edges = np.histogram(grey, bins=_BINS)
    weight = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)])
    # between[i, j]: what one class of the bins i … j - 1 adds to the variance between classes.
    mass, first_moment = weight[None, :] - weight[:, None], moment[None, :] - moment[:, None]
    between = np.where(mass > 0, first_moment**2 / np.where(mass > 0, mass, 1), 0.0)
    between[np.tril_indices(_BINS + 1, -1)] = -np.inf

    best, cuts = between[0], []
    for _ in range(classes - 1):
        total = best[:, None] + between
        cuts.append(total.argmax(0))
        best = total.max(0)
    end, thresholds = _BINS, []
    for cut in reversed(cuts):
        end = int(cut[end])
        thresholds.append(edges[end])
    return np.array(thresholds[::-1])


def _grey(image: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float32]:
    return image.astype(np.float32) if image.ndim == 2 else image.mean(axis=2, dtype=np.float32)  # noqa: PLR2004 (H, W)
