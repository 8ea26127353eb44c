"""A data set: a frozen list of images with their labels and split, named by its hash."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from axonlab_core.contract.base import ImageName, Value
from axonlab_core.contract.palette import Palette
from axonlab_core.contract.tickets import Blob

MAX_IMAGE_PIXELS = 20_000 * 20_000


class Split(StrEnum):
    """What an image is used for."""

    train = "train"
    val = "val"
    test = "test"
    auto = "auto"
    """Not said: the training decides by group, before it cuts any tile."""


class DatasetImage(Value):
    """One image of a data set.

    The blob is a TIFF in the canonical form that `axonlab_core.imaging.canonical` writes: one page, uint8 or
    uint16, `(H, W)` or `(H, W, 3)`. `labels` is a uint8 label image of the same height and width.
    """

    name: ImageName
    image: Blob
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    channels: Literal[1, 3]
    dtype: Literal["uint8", "uint16"]
    pixel_size_um: float | None = Field(default=None, gt=0)
    """Edge of one square pixel in µm; None where nobody knows it."""
    group: str = Field(default="", max_length=200)
    """What must not be torn apart by a split (the animal, the slide); empty: the image is its own group."""
    split: Split = Split.auto
    labels: Blob | None = None

    @model_validator(mode="after")
    def _not_too_many_pixels(self) -> Self:
        if self.width_px * self.height_px > MAX_IMAGE_PIXELS:
            msg = f"{self.name}: {self.width_px} × {self.height_px} px is more than {MAX_IMAGE_PIXELS} pixels"
            raise ValueError(msg)
        return self


class DatasetManifest(Value):
    """What a job works on. Its canonical JSON is a blob itself and its sha256 is the data set's name."""

    schema_version: Literal[1] = 1
    palette: Palette
    images: tuple[DatasetImage, ...] = Field(min_length=1, max_length=5000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [image.name.casefold() for image in self.images]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            msg = f"two images of a data set share the name {twice[0]!r}"
            raise ValueError(msg)
        if len({image.channels for image in self.images}) > 1:
            msg = "a data set holds grey and colour images; convert them to one kind"
            raise ValueError(msg)
        return self

    def blobs(self) -> tuple[Blob, ...]:
        """Every image and label blob, each once."""
        every = [blob for image in self.images for blob in (image.image, image.labels) if blob is not None]
        return tuple({blob.sha256: blob for blob in every}.values())
