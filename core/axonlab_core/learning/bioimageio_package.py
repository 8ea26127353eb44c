"""A model as bioimage.io describes models, so that Fiji, ilastik, deepImageJ and others can use it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import ModelCard
from axonlab_core.learning.onnx_network import EPSILON, OPSET, TestTensors
from axonlab_core.learning.presets import find_preset

FORMAT = "0.5.4"
_UNET = {"text": "Ronneberger, Fischer & Brox (2015), U-Net", "doi": "10.1007/978-3-319-24574-4_28"}


def write_bioimageio(folder: Path, card: ModelCard, tensors: TestTensors) -> None:
    """Write `rdf.yaml` into a folder that holds `weights.onnx`, the test tensors and `README.md`.

    Raises
    ------
    BadInput
        If the description does not keep to the specification; says where.
    ModuleNotFoundError
        If bioimageio.spec is not installed.
    """
    from bioimageio.spec import (  # noqa: PLC0415 (the extra `export` alone has it)
        InvalidDescr,
        ValidationContext,
        build_description,
        save_bioimageio_yaml_only,
    )

    context = ValidationContext(root=folder, log_warnings=False, disable_cache=True, progressbar=False)
    found = build_description(_description(folder, card, tensors), context=context)
    if isinstance(found, InvalidDescr):
        raise BadInput(
            f"bioimage.io does not accept the description of this model: {found.validation_summary.errors[0].msg}",
            remedy="Export it as onnx, and report this with the model's card.",
        )
    save_bioimageio_yaml_only(found, folder / "rdf.yaml")


def _description(folder: Path, card: ModelCard, tensors: TestTensors) -> dict[str, Any]:
    names = card.palette.names
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": f"Axonlab {card.preset} U-Net for {' and '.join(names[1:])}"[:128],
        "description": f"Says of every pixel of a micrograph whether it is {', '.join(names[:-1])} or {names[-1]}.",
        "documentation": _file(folder, "README.md"),
        "authors": [{"name": "Axonlab"}],
        "cite": [_UNET],
        "license": card.licence,
        "tags": ["2d", "semantic-segmentation", "unet", "microscopy", *(name.replace(" ", "-") for name in names[1:])],
        "timestamp": card.created_at.isoformat(),
        "inputs": [_input(folder, card)],
        "outputs": [_output(folder, card, tensors)],
        "weights": {"onnx": {**_file(folder, "weights.onnx"), "opset_version": OPSET}},
        "config": {"axonlab": {"card": card.model_dump(mode="json")}},
    }


def _input(folder: Path, card: ModelCard) -> dict[str, Any]:
    stride_px = find_preset(card.preset).stride_px
    size = {"min": 2 * stride_px, "step": stride_px}
    limits = card.input.normalisation
    over = ["y", "x"]  # each image and channel by itself
    return {
        "id": "image",
        "description": "Brightness; any range, it is normalised per image",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": ["grey"] if card.input.channels == 1 else ["red", "green", "blue"]},
            *({"type": "space", "id": axis, "size": size, **_scale(card)} for axis in over),
        ],
        "data": {"type": "float32"},
        "test_tensor": _file(folder, "test_input.npy"),
        "preprocessing": [
            {
                "id": "scale_range",
                "kwargs": {
                    "axes": over,
                    "min_percentile": limits.low_percentile,
                    "max_percentile": limits.high_percentile,
                    "eps": EPSILON,
                },
            },
            {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}},
            {"id": "zero_mean_unit_variance", "kwargs": {"axes": over, "eps": EPSILON}},
        ],
    }


def _output(folder: Path, card: ModelCard, tensors: TestTensors) -> dict[str, Any]:
    halo_px = find_preset(card.preset).halo_px
    reference = [{"type": "space", "id": axis, **_scale(card)} for axis in ("y", "x")]
    sized = [axis | {"size": {"tensor_id": "image", "axis_id": axis["id"]}, "halo": halo_px} for axis in reference]
    if halo_px * 2 >= tensors.image.shape[2]:  # the test tensor has to hold more than its halo
        for axis in sized:
            del axis["halo"]
    return {
        "id": "probability",
        "description": "Probability of each class at every pixel",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": list(card.palette.names)}, *sized],
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": _file(folder, "test_output.npy"),
    }


def _scale(card: ModelCard) -> dict[str, Any]:
    """The pixel size that the network was trained at; nothing where it is not known."""
    size = card.input.pixel_size_um
    return {} if size is None else {"unit": "micrometer", "scale": size}


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
