"""Models on disk: a SafeTensors file whose own metadata is its card.

The network is rebuilt from its preset, never from the file, and every tensor must be where that network
has one. Its keys are those of `unet.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from axonlab_core.backends.model_header import read_card, read_header
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import CARD_KEY, ModelCard
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.unet import UNet, new_unet

_COUNTERS = "num_batches_tracked"
"""Batch norm counts its batches; a finished model has no use for it."""


class Model(NamedTuple):
    """A network with its weights, and what one must know to use it."""

    net: UNet
    card: ModelCard


def save_model(path: Path, weights: Mapping[str, Tensor], card: ModelCard) -> None:
    """Write the weights of a `UNet` and their card; the file appears when it is complete."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items() if not key.endswith(_COUNTERS)}
    beside = path.with_name(f"{path.name}.part")
    save_file(tensors, beside, metadata={CARD_KEY: card.canonical_json().decode()})
    os.replace(beside, path)  # noqa: PTH105 (Path.replace says the same)


def load_model(path: Path) -> Model:
    """The model in a file, ready for inference.

    Raises
    ------
    BadInput
        If it is no model file of ours: the header, the card, or a tensor's name, type or shape is another.
    """
    card = read_card(path)
    found = {key: (entry.dtype, entry.shape) for key, entry in read_header(path).tensors.items()}
    net = new_unet(card.input.channels, len(card.palette.classes), find_preset(card.preset).widths, seed=0)
    wanted = {
        key: ("F32", tuple(value.shape)) for key, value in net.state_dict().items() if not key.endswith(_COUNTERS)
    }
    if found != wanted:
        differing = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        raise BadInput(
            f"{path.name} does not fit the preset {card.preset!r}: {len(differing)} of its {len(wanted)} tensors are "
            f"missing, unknown or of another shape; the first is {differing[0]!r}.",
            remedy="Use the model.safetensors of a training's result.",
        )
    weights = load_file(path)
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise BadInput(f"{path.name} holds weights that are not numbers.", remedy="Train the model again.")
    net.load_state_dict(weights, strict=False)
    return Model(net.eval(), card)
