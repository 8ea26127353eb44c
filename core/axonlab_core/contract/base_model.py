"""Which model a training may begin with."""

from __future__ import annotations

from axonlab_core.contract.dataset import DatasetManifest
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import ModelCard

_KINDS = {1: "grey", 3: "colour"}


def check_base(card: ModelCard, manifest: DatasetManifest, preset: str) -> None:
    """Check that a training on that data set may begin with the model of that card.

    Raises
    ------
    BadInput
        If it is of another preset or kind of image, has other classes, or began with another model itself.
    """
    if card.base_model is not None:
        raise BadInput(
            "The base model was itself trained from a base model.",
            remedy="Begin with the model that it began with; its sha256 is " + card.base_model + ".",
        )
    if card.preset != preset:
        raise BadInput(
            f"The base model is of the preset {card.preset!r} and this training of {preset!r}.",
            remedy=f"Train with the preset {card.preset!r}.",
        )
    if card.palette.names != manifest.palette.names:
        raise BadInput(
            f"The base model tells {', '.join(card.palette.names)} apart, the data set has "
            f"{', '.join(manifest.palette.names)}.",
            remedy="Use the same classes in the same order, or train without a base model.",
        )
    if card.input.channels != manifest.images[0].channels:
        raise BadInput(
            f"The base model was trained on {_KINDS[card.input.channels]} images, and these are "
            f"{_KINDS[manifest.images[0].channels]}.",
            remedy="Convert the images, or train without a base model.",
        )
