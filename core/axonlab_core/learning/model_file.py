"""Models on disk: a SafeTensors file whose own metadata is its card.

The network is rebuilt from its preset, never from the file, and every tensor must be where that network
has one. Its keys are those of `unet.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from axonlab_core.backends.model_header import check_card, read_header
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import CARD_KEY, ModelCard
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.unet import UNet

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

    No weights are drawn and none are copied: the network is built without memory of its own, and its tensors
    become those of the file, which the system reads when they are needed.

    Raises
    ------
    BadInput
        If it is no model file of ours: the header, the card, or a tensor's name, type or shape is another.
    """
    header = read_header(path)
    card = check_card(path.name, header)
    with torch.device("meta"):
        net = UNet(card.input.channels, len(card.palette.classes), find_preset(card.preset).widths).eval()
    counters = {key: torch.zeros((), dtype=torch.long) for key in net.state_dict() if key.endswith(_COUNTERS)}
    found = {key: (entry.dtype, entry.shape) for key, entry in header.tensors.items()}
    wanted = {key: ("F32", tuple(value.shape)) for key, value in net.state_dict().items() if key not in counters}
    if found != wanted:
        differing = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        raise BadInput(
            f"{path.name} does not fit the preset {card.preset!r}: {len(differing)} of its {len(wanted)} tensors are "
            f"missing, unknown or of another shape; the first is {differing[0]!r}.",
            remedy="Use the model.safetensors of a training's result.",
        )
    net.load_state_dict(load_file(path) | counters, assign=True)
    return Model(net, card)
