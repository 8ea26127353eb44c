"""Labelled images as the training needs them: normalised, at the model's pixel size."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetImage, DatasetManifest, Split
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import Normalisation
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.resample import resample_image, resample_labels
from axonlab_core.learning.magnification import scale_to_model
from axonlab_core.learning.normalise import measure, normalise
from axonlab_core.learning.workspace import Workspace

SMALLEST_IMAGE_PX = 32


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """One labelled image at the model's pixel size."""

    source: DatasetImage
    scale: float
    """Model pixels per image pixel."""
    pixels: NDArray[np.float32]
    """`(H, W, C)`, normalised."""
    labels: NDArray[np.uint8]
    """`(H, W)`, 255 = unknown."""
    counts: NDArray[np.int64]
    """`(K,)` labelled pixels of each class."""


class LabelledImage(NamedTuple):
    """An image that may be learned from."""

    source: DatasetImage
    labels: NDArray[np.uint8]
    """`(H, W)`, of the image's own size; 255 = unknown."""


def labelled_images(workspace: Workspace, manifest: DatasetManifest, pool: Executor) -> list[LabelledImage]:
    """The images that may be learned from: those with at least one labelled pixel and not set aside for testing.

    Raises
    ------
    BadInput
        If there is none, or all the labelled pixels are of one class.
    """
    classes = len(manifest.palette.classes)
    images = [image for image in manifest.images if image.split != Split.test]
    labels = pool.map(lambda image: workspace.labels(image, classes), images)
    pairs = [LabelledImage(image, own) for image, own in zip(images, labels, strict=True) if own is not None]
    counts = [count_labels(pair.labels, classes) for pair in pairs]
    _check_enough(np.sum(counts, axis=0) if counts else np.zeros(classes, np.int64), manifest)
    return [pair for pair, count in zip(pairs, counts, strict=True) if count.any()]


def count_labels(labels: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """`(classes,)` labelled pixels of each class."""
    return np.bincount(labels.ravel(), minlength=UNKNOWN + 1)[:classes]


def prepare_image(
    workspace: Workspace,
    labelled: LabelledImage,
    *,
    classes: int,
    pixel_size_um: float | None,
    normalisation: Normalisation,
) -> PreparedImage:
    """An image and its labels at the model's pixel size.

    Raises
    ------
    BadInput
        If the image is too small or its pixel size too far from the model's.
    """
    image, labels = labelled
    scale = scale_to_model(image, pixel_size_um)
    pixels = workspace.pixels(image)
    numbers = normalise(pixels, measure(pixels, normalisation))
    if scale != 1:
        numbers, labels = resample_image(numbers, scale), resample_labels(labels, scale)
    if min(labels.shape) < SMALLEST_IMAGE_PX:
        raise BadInput(
            f"Image {image.name!r} has {image.width_px} × {image.height_px} px, which is {labels.shape[1]} × "
            f"{labels.shape[0]} px at the model's pixel size.",
            remedy=f"Train on images of at least {SMALLEST_IMAGE_PX} px along each edge.",
        )
    return PreparedImage(image, scale, numbers, labels, count_labels(labels, classes))


def labelled_fraction(images: Sequence[PreparedImage]) -> float:
    """Share of the images' pixels that have a label."""
    return float(sum(image.counts.sum() for image in images) / sum(image.labels.size for image in images))


def _check_enough(counts: NDArray[np.int64], manifest: DatasetManifest) -> None:
    names = ", ".join(manifest.palette.names)
    if not counts.any():
        raise BadInput(
            "No pixel of the training images has a label.",
            remedy=f"Paint some of each class ({names}), or give a label file for at least one image that is not "
            "set aside for testing.",
        )
    if np.count_nonzero(counts) == 1:
        only = manifest.palette.names[int(counts.argmax())]
        raise BadInput(
            f"All labelled pixels are {only!r}: there is nothing to tell apart.",
            remedy=f"Label pixels of at least two classes out of {names}. Pixels that you leave unlabelled are "
            "unknown to the training, they are not taken as background.",
        )
