"""The network as ONNX, and tensors by which anybody can test that it still answers as it did."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import Normalisation
from axonlab_core.learning.model_file import Model
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.unet import UNet, folded

OPSET = 18
EPSILON = 1e-6
"""Added to what is divided by, as bioimage.io's programs do."""
_TOLERANCE = 1e-3
_STRIDES = 8
"""Edge of the test image, in the network's strides."""


@dataclass(frozen=True, eq=False)
class TestTensors:
    """An image and what the model says of it."""

    image: NDArray[np.float32]
    """`(1, C, H, W)`: brightness 0 … 255."""
    normalised: NDArray[np.float32]
    """The same as the network is given it."""
    probability: NDArray[np.float32]
    """`(1, K, H, W)`: probability of each class."""

    def save(self, folder: Path) -> None:
        """Write `test_input.npy`, `test_normalised.npy` and `test_output.npy`."""
        np.save(folder / "test_input.npy", self.image)
        np.save(folder / "test_normalised.npy", self.normalised)
        np.save(folder / "test_output.npy", self.probability)


def make_test_tensors(model: Model) -> TestTensors:
    """Tensors of an image of round and ring-shaped things, the same for every model of that input."""
    edge = _STRIDES * find_preset(model.card.preset).stride_px
    image = _test_image(model.card.input.channels, edge)
    normalised = normalise_as_described(image, model.card.input.normalisation)
    with torch.inference_mode():
        probability = _Probabilities(model.net)(torch.from_numpy(normalised)).numpy()
    return TestTensors(image, normalised, probability)


def normalise_as_described(image: NDArray[np.float32], normalisation: Normalisation) -> NDArray[np.float32]:
    """`(N, C, H, W)` numbers for the network, by the steps that an export's description names.

    These are those of `learning.normalise` but for how a percentile between two values is told.
    """
    limits = (normalisation.low_percentile, normalisation.high_percentile)
    low, high = np.percentile(image, limits, axis=(2, 3), keepdims=True)
    scaled = np.clip((image - low) / (high - low + EPSILON), 0, 1)
    mean, std = scaled.mean(axis=(2, 3), keepdims=True), scaled.std(axis=(2, 3), keepdims=True)
    return ((scaled - mean) / (std + EPSILON)).astype(np.float32)


def write_onnx(path: Path, model: Model, *, check_with: TestTensors) -> None:
    """Write the network, from normalised pixels to class probabilities; any number of images of any size it takes.

    Raises
    ------
    BadInput
        If the written network does not give the probabilities of `check_with`.
    ModuleNotFoundError
        If onnx, onnxscript or onnxruntime is not installed.
    """
    import onnx  # noqa: PLC0415 (the extra `export` alone has these)
    import onnxruntime  # noqa: PLC0415
    import onnxscript  # noqa: F401, PLC0415 (torch.onnx needs it, and says so less plainly)

    stride_px = find_preset(model.card.preset).stride_px
    size = {axis: stride_px * torch.export.Dim(name) for axis, name in ((2, "height"), (3, "width"))}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that nobody needs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own insides
        torch.onnx.export(
            _Probabilities(model.net),
            (torch.from_numpy(check_with.normalised),),
            path,
            dynamo=True,
            input_names=["image"],
            output_names=["probability"],
            dynamic_shapes={"x": {0: torch.export.Dim("batch"), **size}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    onnx.checker.check_model(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"image": check_with.normalised})
    apart = float(np.abs(np.asarray(answer) - check_with.probability).max())
    if not apart <= _TOLERANCE:
        raise BadInput(
            f"The exported network answers otherwise than the model: probabilities differ by up to {apart:.3g}.",
            remedy="Use the versions of torch and onnx that constraints.txt names.",
        )


class _Probabilities(nn.Module):
    """The folded network with a softmax: `(N, C, H, W)` normalised pixels → `(N, K, H, W)` probabilities."""

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.net = folded(net)

    def forward(self, x: Tensor) -> Tensor:
        """Probability of each class at every pixel."""
        return self.net(x).softmax(dim=1)


def _test_image(channels: int, edge: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:edge, :edge] / edge
    rng = np.random.default_rng(0)
    image = np.full((edge, edge), 120.0)
    for _ in range(12):
        row, column, radius = *rng.random(2), rng.uniform(0.05, 0.15)
        distance = np.hypot(rows - row, columns - column) / radius
        image[distance < 1] = 40.0
        image[distance < 0.6] = 190.0  # noqa: PLR2004 (the axon within its sheath)
    image += rng.normal(0, 8, image.shape)
    grey = np.clip(np.rint(image), 0, 255).astype(np.float32)
    return np.stack([grey * (1 - 0.1 * k) for k in range(channels)])[None].round().astype(np.float32)
