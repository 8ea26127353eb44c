"""How many objects of each class were found: axons counted one by one, not pixel by pixel.

An object is a patch of one class whose pixels are connected through their edges. A true and a predicted object
match if their IoU reaches a threshold, each being matched at most once; of all ways to match them, one with the
most matches counts.

Where labels are partial, only what they can decide counts:

- Areas and overlaps are taken from labelled pixels alone.
- A true object counts if at least three quarters of its outline border on labelled pixels (the edge of the
  image is no outline). A stroke inside an axon does not tell how large the axon is, and is left out.
- A predicted object without a match is an error only if at least half of it is labelled, and not mostly as
  objects that are left out.
- Patches of less than 10 px are left out on both sides: hand-drawn labels hold specks that nobody meant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from axonlab_core.contract.palette import UNKNOWN

OBJECT_IOUS = (0.3, 0.5)
"""IoU from which on a true and a predicted object are taken to be the same."""
_SMALLEST_PX = 10
_OUTLINE_KNOWN = 0.75
_AREA_KNOWN = 0.5


def object_counts(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Number of objects found, invented and missed, by class and IoU threshold; counts of images may be added up.

    Parameters
    ----------
    truth : (H, W) uint8 array
        Class index of each pixel, 255 = unknown.
    prediction : (H, W) uint8 array
        Class index of each pixel.
    classes : int
        Number of classes, K. Class 0 is background, which has no objects.

    Returns
    -------
    (K, 2, 3) int64 array
        True positives, false positives and false negatives at each of `OBJECT_IOUS`.

    References
    ----------
    Caicedo et al. (2019), Nucleus segmentation across imaging experiments, https://doi.org/10.1038/s41592-019-0612-7

    Examples
    --------
    >>> truth = np.zeros((8, 16), np.uint8)
    >>> truth[2:6, 2:6], truth[2:6, 10:14] = 1, 1
    >>> prediction = np.zeros_like(truth)
    >>> prediction[2:6, 2:5] = 1
    >>> object_counts(truth, prediction, 2)[1].tolist()
    [[1, 0, 1], [1, 0, 1]]
    """
    counts = np.zeros((classes, len(OBJECT_IOUS), 3), np.int64)
    box = _labelled_box(truth)
    if box is not None:
        for k in range(1, classes):
            counts[k] = _counts_of_class(truth[box], prediction[box], k)
    return counts


def _labelled_box(truth: NDArray[np.uint8]) -> tuple[slice, slice] | None:
    """The smallest rectangle that holds every labelled pixel; its edges count as edges of the image."""
    known = truth != UNKNOWN
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _counts_of_class(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    true, true_number = _patches(truth == k)
    said, said_number = _patches(prediction == k)
    known = truth != UNKNOWN
    true_px = np.bincount(true.ravel(), minlength=true_number + 1)
    said_px = np.bincount(said.ravel(), minlength=said_number + 1)
    said_known_px = np.bincount(said[known], minlength=said_number + 1)
    shared = _shared_px(true, said, (true_number + 1, said_number + 1))

    counted = (true_px >= _SMALLEST_PX) & (_known_outline(true, true_number, known) >= _OUTLINE_KNOWN)
    counted[0] = False
    on_left_out = np.asarray(shared[~counted].sum(axis=0)).ravel()
    wrong_if_alone = (
        (said_px >= _SMALLEST_PX) & (said_known_px >= _AREA_KNOWN * said_px) & (on_left_out <= said_known_px / 2)
    )
    wrong_if_alone[0] = False

    pairs = shared.tocoo()
    inside = counted[pairs.row] & (pairs.col > 0)
    row, column, both = pairs.row[inside], pairs.col[inside], pairs.data[inside]
    iou = both / (true_px[row] + said_known_px[column] - both)
    return np.array([_matched(row, column, iou >= least, counted, wrong_if_alone) for least in OBJECT_IOUS])


def _matched(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    alike: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    wrong_if_alone: NDArray[np.bool_],
) -> tuple[int, int, int]:
    """True positives, false positives and false negatives, where the pairs `alike` may be matched."""
    pairs = (np.ones(int(alike.sum()), np.int8), (row[alike], column[alike]))
    graph = csr_array(pairs, shape=(len(counted), len(wrong_if_alone)))
    partner = maximum_bipartite_matching(graph, perm_type="column")  # of each true object, or -1
    found = partner[partner >= 0]
    invented = wrong_if_alone.copy()
    invented[found] = False
    return len(found), int(invented.sum()), int(counted.sum()) - len(found)


def _patches(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number of each pixel's patch, 0 outside, and how many there are."""
    numbers = np.empty(mask.shape, np.int32)
    return numbers, int(ndimage.label(mask, output=numbers))  # pyright: ignore[reportArgumentType] (a count, given output)


def _shared_px(true: NDArray[np.int32], said: NDArray[np.int32], shape: tuple[int, int]) -> csr_array:
    """Pixels that each true patch (row) shares with each predicted one (column)."""
    both = (true > 0) & (said > 0)
    return coo_array((np.ones(int(both.sum()), np.int64), (true[both], said[both])), shape=shape).tocsr()


def _known_outline(patches: NDArray[np.int32], number: int, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each patch's outline (edges between one of its pixels and one outside it) that borders on labels."""
    every, labelled = np.zeros(number + 1), np.zeros(number + 1)
    for one, other in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        for inside, outside in ((one, other), (other, one)):
            edge = (patches[inside] > 0) & (patches[outside] != patches[inside])
            every += np.bincount(patches[inside][edge], minlength=number + 1)
            labelled += np.bincount(patches[inside][edge & known[outside]], minlength=number + 1)
    return np.where(every > 0, labelled / np.maximum(every, 1), 1.0)
