"""The finished model's scores on its validation regions, on the images' own pixels, beside Otsu's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.model_card import ClassScores, ModelInput
from axonlab_core.contract.palette import Palette
from axonlab_core.imaging.metrics import confusion, scores
from axonlab_core.imaging.otsu import fit_polarity, otsu_labels
from axonlab_core.learning.infer import Image, Reach, predict_labels
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.split import Region
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.unet import UNet
from axonlab_core.learning.workspace import Workspace


@dataclass(frozen=True)
class Measured:
    """Scores of model and Otsu by class name, and one region to look at."""

    model: dict[str, ClassScores]
    otsu: dict[str, ClassScores]
    example: tuple[str, Image, NDArray[np.uint8]] | None
    """Name, pixels and predicted labels of a validation region."""


def original_box(region: Region) -> tuple[slice, slice]:
    """Rows and columns of the image itself that lie wholly in `region`, which is in the model's pixels."""
    height, width = region.image.labels.shape
    source = region.image.source

    def span(begin: int, end: int, model_px: int, own_px: int) -> slice:
        return slice(-(-begin * own_px // model_px), end * own_px // model_px)

    return (
        span(region.top, region.bottom, height, source.height_px),
        span(region.left, region.right, width, source.width_px),
    )


def otsu_polarity(workspace: Workspace, regions: Sequence[Region], classes: int) -> tuple[int, ...]:
    """Classes from dark to bright, as labelled in the training regions."""

    def labelled(region: Region) -> tuple[Image, NDArray[np.uint8]]:
        box, labels = original_box(region), workspace.labels(region.image.source, classes)
        if labels is None:
            msg = f"{region.image.source.name} was prepared without labels"
            raise ValueError(msg)
        return workspace.pixels(region.image.source)[box], labels[box]

    return fit_polarity((labelled(region) for region in regions), classes)


def measure_model(
    net: UNet,
    workspace: Workspace,
    regions: Sequence[Region],
    *,
    palette: Palette,
    model_input: ModelInput,
    reach: Reach,
    polarity: tuple[int, ...],
    stopping: Stopping,
) -> Measured:
    """Scores of the folded network and of Otsu's thresholds on the same pixels of the same regions."""
    classes = len(palette.classes)
    by_model, by_otsu = np.zeros((classes, classes), np.int64), np.zeros((classes, classes), np.int64)
    example = None
    for region in regions:
        stopping.check("while the model was being scored")
        image, box = region.image.source, original_box(region)
        pixels, labels = workspace.pixels(image), workspace.labels(image, classes)
        if labels is None:
            continue
        predicted = predict_labels(
            net,
            pixels[box],
            reach=reach,
            brightness=measure(pixels, model_input.normalisation),
            scale=region.image.scale,
        )
        by_model += confusion(labels[box], predicted, classes)
        by_otsu += confusion(labels[box], otsu_labels(pixels, polarity)[box], classes)
        example = example or (image.name, pixels[box], predicted)
    return Measured(scores(by_model, palette.names), scores(by_otsu, palette.names), example)
