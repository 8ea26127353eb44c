"""What a training learns from: which images, at which pixel size, and which part of them is kept for validation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from axonlab_core.contract.dataset import DatasetImage, DatasetManifest, Split
from axonlab_core.contract.events import WarningEvent
from axonlab_core.contract.model_card import ModelInput, Normalisation
from axonlab_core.learning.cautions import NO_PIXEL_SIZE, NOT_MEASURED, SAME_IMAGE
from axonlab_core.learning.magnification import model_pixel_size, scale_warning
from axonlab_core.learning.prepare import PreparedImage, labelled_images, prepare_image
from axonlab_core.learning.recipe import usable_cores
from axonlab_core.learning.report import Report
from axonlab_core.learning.split import Division, divide, group_of
from axonlab_core.learning.workspace import Workspace

_SMALLEST_TILE_PX = 32


class Material(NamedTuple):
    """The images as the network sees them, divided."""

    model_input: ModelInput
    division: Division
    tile_px: int
    """Edge of a training tile: as asked for, or less where the images are small."""


def gather_material(
    workspace: Workspace,
    manifest: DatasetManifest,
    *,
    tile_px: int,
    stride_px: int,
    report: Report,
    base_input: ModelInput | None = None,
) -> Material:
    """The labelled images of a data set at the model's pixel size, divided between training and validation.

    The pixel size is chosen from the images or, where a base model is trained further, that model's own.

    Raises
    ------
    BadInput
        If they are too few, too small, too differently magnified or not labelled enough.
    """
    # Reading, scaling and resampling leave Python to others; what comes out does not depend on who was first.
    with ThreadPoolExecutor(usable_cores()) as pool:
        labelled = labelled_images(workspace, manifest, pool)
        model_input = _model_input(manifest, [image.source for image in labelled], base_input, report)
        prepare = partial(
            prepare_image,
            workspace,
            classes=len(manifest.palette.classes),
            pixel_size_um=model_input.pixel_size_um,
            normalisation=model_input.normalisation,
        )
        images = list(pool.map(prepare, labelled))
    division, tile_px = _divide(manifest, images, tile_px=tile_px, stride_px=stride_px, report=report)
    return Material(model_input, division, tile_px)


def _model_input(
    manifest: DatasetManifest, sources: Sequence[DatasetImage], base_input: ModelInput | None, report: Report
) -> ModelInput:
    """What the model will take; says what one should know of the images' pixel sizes."""
    learned_from = [image for image in sources if image.split != Split.val] or sources
    pixel_size_um = model_pixel_size(learned_from) if base_input is None else base_input.pixel_size_um
    if pixel_size_um is None:
        report(WarningEvent(message=NO_PIXEL_SIZE))
    for warning in (scale_warning(image, pixel_size_um) for image in sources):
        if warning is not None:
            report(WarningEvent(message=warning))
    return base_input or ModelInput(
        channels=manifest.images[0].channels, normalisation=Normalisation(), pixel_size_um=pixel_size_um
    )


def _divide(
    manifest: DatasetManifest, images: Sequence[PreparedImage], *, tile_px: int, stride_px: int, report: Report
) -> tuple[Division, int]:
    """The images divided, and the edge of a tile that fits into them."""
    test = [image for image in manifest.images if image.split == Split.test]
    tile_px = min(tile_px, _up(max(max(i.labels.shape) for i in images), stride_px))
    division = divide(images, test, tile_px=tile_px)
    if division.scope == "same-image" and len(division.val) < len(images):
        # Less room is lost between the parts when the tiles are smaller.
        quarter_px = min(max(image.labels.shape) for image in images) // 4 // stride_px * stride_px
        smaller_px = min(tile_px, max(_SMALLEST_TILE_PX, quarter_px))
        closer = divide(images, test, tile_px=smaller_px)
        if len(closer.val) > len(division.val):
            division, tile_px = closer, smaller_px
    _tell_division(division, test, report)
    return division, tile_px


def _tell_division(division: Division, test: Sequence[DatasetImage], report: Report) -> None:
    twice = {group_of(r.image.source) for r in division.train} & {group_of(image) for image in test}
    if twice:
        report(
            WarningEvent(
                message=f"Some images of {', '.join(sorted(twice))} are marked for training and others for testing: a "
                "test on them says little about other animals."
            )
        )
    if not division.val:
        report(WarningEvent(message=NOT_MEASURED))
    elif division.scope == "same-image":
        report(WarningEvent(message=SAME_IMAGE))


def _up(length_px: int, stride_px: int) -> int:
    return -(-length_px // stride_px) * stride_px
