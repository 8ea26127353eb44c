"""The card that a model file carries in its own SafeTensors metadata."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from axonlab_core.contract.base import Identifier, ImageName, Sha256, UtcTime, Value
from axonlab_core.contract.palette import Palette

CARD_KEY = "axonlab.card"
"""Key of the card's JSON in the SafeTensors metadata (string → string)."""


class Normalisation(Value):
    """How an image becomes numbers: once per image, the same for training crops and inference tiles.

    `x = clip((pixel - low) / (high - low), 0, 1)`, low and high being percentiles of the whole image; then
    `(x - mean) / std` with the image's own mean and standard deviation after clipping. Each channel by itself.
    """

    low_percentile: float = Field(default=0.5, ge=0, le=100)
    high_percentile: float = Field(default=99.5, ge=0, le=100)


class ModelInput(Value):
    """What the network expects."""

    channels: Literal[1, 3]
    normalisation: Normalisation
    pixel_size_um: float | None = Field(gt=0)
    """Edge of a pixel that the network was trained at; None: unknown, images are taken as they are."""


class Training(Value):
    """How the weights came about."""

    steps: int = Field(ge=1)
    seconds: float = Field(ge=0)
    batch: int = Field(ge=1)
    tile_px: int = Field(ge=16)
    learning_rate: float
    seed: int
    device: str
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format that the convolutions were computed in."""
    labelled_fraction: float = Field(ge=0, le=1)
    """Share of the training images' pixels that had a label."""


class SplitRecord(Value):
    """Which images were used for what."""

    train: tuple[ImageName, ...]
    val: tuple[ImageName, ...]
    test: tuple[ImageName, ...] = ()
    scope: Literal["other-group", "other-image", "same-image"]
    """How far the validation is from the training: other animals, other images, or parts of the same images."""


class ClassScores(Value):
    """Agreement of prediction and labels, on labelled pixels only."""

    dice: float | None
    iou: float | None


class Scores(Value):
    """Validation scores by class name, beside what Otsu's threshold reaches on the same pixels."""

    scope: Literal["other-group", "other-image", "same-image"]
    model: dict[str, ClassScores]
    otsu: dict[str, ClassScores]
    best_step: int = Field(ge=0)


class ModelCard(Value):
    """What one must know to use a model."""

    schema_version: Literal[1] = 1
    preset: Literal["tiny", "standard"]
    palette: Palette
    input: ModelInput
    training: Training
    dataset: Sha256
    base_model: Sha256 | None = None
    """The model file that the training began with; None: it began with random weights."""
    split: SplitRecord
    scores: Scores
    otsu_dark_to_bright: tuple[int, ...] = ()
    """Class indices from dark to bright in the training labels: fixes the polarity of Otsu's thresholds."""
    job_id: Identifier | None = None
    created_at: UtcTime
    software: dict[str, str]
    licence: str = "CC-BY-4.0"
