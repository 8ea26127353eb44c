"""Pixel sizes: at which one to train, and by how much an image must be resampled for a model."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from axonlab_core.contract.dataset import DatasetImage
from axonlab_core.contract.errors import BadInput

_WARN_BEYOND = 2.0
_REFUSE_BEYOND = 8.0


def model_pixel_size(images: Iterable[DatasetImage]) -> float | None:
    """The training images' median pixel size in µm; None if a single one is unknown.

    The median moves most images least: each resampling loses a little.
    """
    sizes = [image.pixel_size_um for image in images]
    known = [size for size in sizes if size is not None]
    return float(median(known)) if known and len(known) == len(sizes) else None


def scale_to_model(image: DatasetImage, model_um: float | None) -> float:
    """How many model pixels one edge of the image's pixels becomes; 1 where either size is unknown.

    Raises
    ------
    BadInput
        If the image would have to be shrunk or enlarged more than eight times.
    """
    if model_um is None or image.pixel_size_um is None:
        return 1.0
    scale = image.pixel_size_um / model_um
    if not 1 / _REFUSE_BEYOND <= scale <= _REFUSE_BEYOND:
        raise BadInput(
            f"Image {image.name!r} has {image.pixel_size_um:g} µm/px and the model works at {model_um:g} µm/px: "
            f"the image would be resampled {scale:.3g} times.",
            remedy=f"Check the pixel size; up to {_REFUSE_BEYOND:g} times is possible. A model for this "
            "magnification needs training images of it.",
        )
    return scale


def scale_warning(image: DatasetImage, model_um: float | None) -> str | None:
    """What a person should know about the pixel size of `image`, or None."""
    if model_um is None:
        return None
    if image.pixel_size_um is None:
        return (
            f"The pixel size of {image.name!r} is unknown and the model works at {model_um:g} µm/px: the image is "
            "taken as it is. Results are poor if its magnification differs from that."
        )
    scale = scale_to_model(image, model_um)
    if not 1 / _WARN_BEYOND <= scale <= _WARN_BEYOND:
        return (
            f"{image.name!r} has {image.pixel_size_um:g} µm/px and the model works at {model_um:g} µm/px: the image "
            f"is resampled {scale:.2g} times, far from what the model has seen."
        )
    return None
