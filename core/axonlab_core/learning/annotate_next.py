"""Where a label would teach a model most: where it is in doubt and nothing is labelled yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetImage, DatasetManifest, Split
from axonlab_core.contract.model_card import ModelInput
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.learning.infer import Reach, predict
from axonlab_core.learning.magnification import scale_to_model
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.places import MOST_DOUBTFUL, Place, doubtful_places, most_doubtful
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.unet import UNet
from axonlab_core.learning.workspace import Workspace

_MOST_MODEL_PX = 3_000_000
"""Pixels, at the model's size, that are looked at in all: seconds on a CPU."""
_LEAST_UNLABELLED = 0.1


def places_to_annotate(
    net: UNet,
    workspace: Workspace,
    manifest: DatasetManifest,
    *,
    model_input: ModelInput,
    reach: Reach,
    stopping: Stopping,
) -> list[Place]:
    """Places where the folded network is most in doubt, best first; none where everything is labelled.

    Images that are set aside for testing are not looked at. Of large images it is a part round what is labelled
    already, so that nobody has to travel far.
    """
    shares = [(image, _unlabelled(workspace, image, manifest)) for image in manifest.images]
    open_images = [entry for entry in shares if entry[1] > 0]
    # Images with some labels first: somebody is at work there.
    open_images.sort(key=lambda entry: entry[1] == 1)
    found: list[Place] = []
    left_px = float(_MOST_MODEL_PX)
    for number, (image, _) in enumerate(open_images):
        stopping.check("while looking for what to annotate next")
        scale = scale_to_model(image, model_input.pixel_size_um)
        room_px = left_px / min(len(open_images) - number, MOST_DOUBTFUL)
        edge_px = int(np.sqrt(room_px) / scale)
        if min(edge_px, image.width_px, image.height_px) < 2 * reach.stride_px:
            break
        pixels, truth = workspace.pixels(image), workspace.labels(image, len(manifest.palette.classes))
        box = _part(truth, (image.height_px, image.width_px), edge_px)
        brightness = measure(pixels, model_input.normalisation)
        part, part_truth = pixels[box], None if truth is None else truth[box]
        labels, doubt = predict(net, part, reach=reach, brightness=brightness, scale=scale)
        found += doubtful_places(image.name, part, labels, doubt, truth=part_truth, corner=(box[0].start, box[1].start))
        left_px -= labels.size * scale**2
    return most_doubtful(found, MOST_DOUBTFUL)


def _unlabelled(workspace: Workspace, image: DatasetImage, manifest: DatasetManifest) -> float:
    """Share of the image's pixels that may be labelled yet; 0 where that is little, or it is not to be looked at."""
    if image.split == Split.test:
        return 0.0
    truth = workspace.labels(image, len(manifest.palette.classes))
    share = 1.0 if truth is None else float(np.mean(truth == UNKNOWN))
    return share if share >= _LEAST_UNLABELLED else 0.0


def _part(truth: NDArray[np.uint8] | None, shape: tuple[int, int], edge_px: int) -> tuple[slice, slice]:
    """A rectangle of at most `edge_px` each way, round the middle of what is labelled or else of the image."""
    centre = (shape[0] / 2, shape[1] / 2)
    if truth is not None and (truth != UNKNOWN).any():
        rows, columns = np.nonzero(truth != UNKNOWN)
        centre = (float(rows.mean()), float(columns.mean()))

    def span(middle: float, length_px: int) -> slice:
        first = max(0, min(int(middle - edge_px / 2), length_px - edge_px))
        return slice(first, min(first + edge_px, length_px))

    return span(centre[0], shape[0]), span(centre[1], shape[1])
