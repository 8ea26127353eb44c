"""The model to segment with, and whether it fits the images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axonlab.datasets import Dataset, dataset, palette_from_names
from axonlab.sources import Images, Labels
from axonlab_core.backends.model_header import read_card
from axonlab_core.backends.transfer import describe
from axonlab_core.contract.errors import BadInput, NotFound
from axonlab_core.contract.jobs import ModelSource, UploadedModel
from axonlab_core.contract.model_card import ModelCard
from axonlab_core.contract.models import ModelSummary
from axonlab_core.contract.palette import Palette


@dataclass(frozen=True)
class Model:
    """A model to segment with: what is said to the service, what it is for, and its file where one has to be sent."""

    source: ModelSource
    palette: Palette
    channels: int
    pixel_size_um: float | None = None
    """At which it works; None if it takes images as they are."""
    file: Path | None = None

    @classmethod
    def from_card(cls, source: ModelSource, card: ModelCard, file: Path | None = None) -> Model:
        """The model with that card."""
        return cls(source, card.palette, card.input.channels, card.input.pixel_size_um, file)

    @classmethod
    def from_summary(cls, source: ModelSource, summary: ModelSummary) -> Model:
        """The model that a list names."""
        return cls(source, palette_from_names(summary.classes), summary.channels, summary.pixel_size_um)


def model_from_file(path: str | Path) -> Model:
    """The model in a SafeTensors file.

    Raises
    ------
    BadInput
        If it is none of ours.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise NotFound(
            f"There is no model {file}.",
            remedy="Give a job, its id, an entry of axonlab.models(), or the path of a .safetensors file.",
        )
    card = read_card(file)
    return Model.from_card(UploadedModel(sha256=describe(file).sha256), card, file)


def data_for_model(
    images: Images | Dataset,
    model: Model,
    *,
    labels: Labels | None = None,
    manifest: str | Path | None = None,
    pixel_size_um: float | None = None,
) -> Dataset:
    """The data set of images that the model can segment.

    Raises
    ------
    BadInput
        If the model's classes or its kind of image (grey, colour) are others.
    """
    if not isinstance(images, Dataset):
        data = dataset(images, labels, palette=model.palette, manifest=manifest, pixel_size_um=pixel_size_um)
    elif labels is not None or manifest is not None or pixel_size_um is not None:
        raise BadInput(
            "A data set has its labels and pixel sizes already.", remedy="Give them to axonlab.dataset(...) instead."
        )
    else:
        data = images
    classes, wanted = data.manifest.palette.names, list(model.palette.names)
    if classes != model.palette.names:
        raise BadInput(
            f"The data set's classes are {', '.join(classes)}; the model's are {', '.join(model.palette.names)}.",
            remedy=f"Build the data set with the model's classes: axonlab.dataset(..., palette={wanted}).",
        )
    channels = data.manifest.images[0].channels
    if channels != model.channels:
        kinds = {1: "grey", 3: "colour"}
        raise BadInput(
            f"The model was trained on {kinds[model.channels]} images; these are {kinds[channels]}.",
            remedy="Convert the images, or train a model on such images.",
        )
    return data
