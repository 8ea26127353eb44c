"""The finished model's scores on its validation regions, on the images' own pixels, beside Otsu's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetImage
from axonlab_core.contract.model_card import ClassScores, ImageScores, ModelInput, Scope, SplitRecord
from axonlab_core.contract.palette import Palette
from axonlab_core.imaging.metrics import Agreement, agreement, total
from axonlab_core.imaging.otsu import fit_polarity, otsu_labels
from axonlab_core.learning.infer import Image, Reach, predict
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.places import Place, labelled_places
from axonlab_core.learning.split import Region
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.unet import UNet
from axonlab_core.learning.workspace import Workspace

_MOST_PLACES = 96


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores of model and Otsu by class name, in all and by image, and places to look at."""

    model: dict[str, ClassScores]
    otsu: dict[str, ClassScores]
    images: dict[str, ImageScores]
    places: list[Place]
    """Labelled windows of the validation regions."""


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
    scope: Scope,
    stopping: Stopping,
) -> Measured:
    """Scores of the folded network and of Otsu's thresholds on the same pixels of the same regions."""
    classes, names = len(palette.classes), palette.names
    by_model: dict[str, Agreement] = {}
    by_otsu: dict[str, Agreement] = {}
    places: list[Place] = []
    for region in regions:
        stopping.check("while the model was being scored")
        image, box = region.image.source, original_box(region)
        pixels, labels = workspace.pixels(image), workspace.labels(image, classes)
        if labels is None:
            continue
        predicted = predict(
            net,
            pixels[box],
            reach=reach,
            brightness=measure(pixels, model_input.normalisation),
            scale=region.image.scale,
        ).labels
        by_model[image.name] = agreement(labels[box], predicted, classes)
        by_otsu[image.name] = agreement(labels[box], otsu_labels(pixels, polarity)[box], classes)
        corner = (box[0].start, box[1].start)
        most = min(_MOST_PLACES - len(places), max(1, _MOST_PLACES // len(regions)))
        places += labelled_places(
            image.name, pixels[box], labels[box], predicted, classes=classes, corner=corner, most=most
        )
    return Measured(
        total(by_model.values(), classes).scores(names),
        total(by_otsu.values(), classes).scores(names),
        {
            name: ImageScores(scope=scope, model=by_model[name].scores(names), otsu=by_otsu[name].scores(names))
            for name in by_model
        },
        places,
    )


def scope_of(image: DatasetImage, split: SplitRecord) -> Scope | None:
    """How far `image` is from what a model was trained on; None where its card is too old to tell."""
    if not split.sha256:
        return None
    if any(split.sha256.get(name) == image.image.sha256 for name in split.train):
        return "seen-in-training"
    groups = {split.groups.get(name, "") for name in split.train}
    return "other-group" if image.group and groups and groups.isdisjoint({"", image.group}) else "other-image"
