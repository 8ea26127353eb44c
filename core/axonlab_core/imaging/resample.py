"""Images at another pixel size.

Resampling is linear and separable: a sparse matrix for the rows and one for the columns. A row of the
result depends on its own few source rows only, so any strip of it is, bit for bit, the same strip of the
whole: large images are resampled strip by strip.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


def resampled_length(length_px: int, scale: float) -> int:
    """Number of pixels along an edge of `length_px` pixels after resampling by `scale`; at least one."""
    return max(1, round(length_px * scale))


@lru_cache(maxsize=16)
def resampling_matrix(source_px: int, target_px: int) -> csr_array:
    """`(target_px, source_px)` float32 matrix whose rows are the weights of one resampled pixel each.

    Linear interpolation between pixel centres when enlarging; when shrinking, the same triangle stretched
    over as many source pixels as one target pixel covers, so that fine structure is averaged and not skipped.
    Weights of a row sum to one; beyond the border there is nothing.
    """
    step = source_px / target_px
    reach = max(step, 1.0)
    centre = (np.arange(target_px) + 0.5) * step - 0.5
    taps = int(np.ceil(2 * reach)) + 1
    column = np.ceil(centre - reach).astype(np.int64)[:, None] + np.arange(taps)[None, :]
    weight = np.clip(1 - np.abs(column - centre[:, None]) / reach, 0, None)
    weight[(column < 0) | (column >= source_px)] = 0
    weight /= weight.sum(1, keepdims=True)
    row = np.repeat(np.arange(target_px), taps)
    used = weight.ravel() > 0
    matrix = csr_array(
        (weight.ravel()[used].astype(np.float32), (row[used], column.ravel()[used])), shape=(target_px, source_px)
    )
    matrix.sort_indices()
    return matrix


def source_range(matrix: csr_array, first: int, end: int) -> tuple[int, int]:
    """The source pixels `[start, stop)` that the target pixels `[first, end)` are made of."""
    used = matrix.indices[matrix.indptr[first] : matrix.indptr[end]]
    return int(used.min()), int(used.max()) + 1


def resample_rows(pixels: Pixels, matrix: csr_array) -> NDArray[np.float32]:
    """`(target, ...)` float32 array: `matrix` applied to the first axis of `(source, ...)` pixels."""
    flat = pixels.astype(np.float32, copy=False).reshape(pixels.shape[0], -1)
    return np.asarray(matrix @ flat).reshape(-1, *pixels.shape[1:])


def resample_columns(pixels: Pixels, matrix: csr_array) -> NDArray[np.float32]:
    """`(H, target, ...)` float32 array: `matrix` applied to the second axis of `(H, source, ...)` pixels."""
    return np.ascontiguousarray(resample_rows(pixels.swapaxes(0, 1), matrix).swapaxes(0, 1))


def resample_image(pixels: Pixels, scale: float) -> NDArray[np.float32]:
    """The image with `scale` times as many pixels along each edge, as float32.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array
    scale : float
        Pixel size before divided by pixel size after; above 1 enlarges.
    """
    height, width = (resampled_length(length, scale) for length in pixels.shape[:2])
    rows = resample_rows(pixels, resampling_matrix(pixels.shape[0], height))
    return resample_columns(rows, resampling_matrix(pixels.shape[1], width))


def resample_labels(labels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The label image with `scale` times as many pixels along each edge; each takes its nearest pixel's class.

    Parameters
    ----------
    labels : (H, W) uint8 array
        Class index of each pixel, 255 = unknown.
    scale : float
        As in `resample_image`, whose result has the same height and width.
    """

    def nearest(length: int) -> NDArray[np.int64]:
        target = resampled_length(length, scale)
        return np.minimum(((np.arange(target) + 0.5) * length / target).astype(np.int64), length - 1)

    return labels[np.ix_(nearest(labels.shape[0]), nearest(labels.shape[1]))]
