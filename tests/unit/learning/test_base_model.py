import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from axonlab_core.backends.model_header import read_card
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import MetricEvent
from axonlab_core.contract.model_card import CARD_KEY
from axonlab_core.contract.palette import Palette
from axonlab_core.learning.base_model import sha256_of
from axonlab_core.learning.train import train

SMALL = {"batch": 2, "tile_px": 48, "threads": 1}


@pytest.fixture
def warm(make_workspace, two_animals, small_model):
    """A function that lays out a workspace with a base model."""

    def make(images=two_animals, *, base=small_model, **options):
        workspace = make_workspace(images, **options)
        shutil.copy(base, workspace / "inputs" / "base.safetensors")
        return workspace

    return make


def test_it_begins_where_the_base_model_ended(warm, small_model, make_workspace, two_animals, tmp_path):
    cold_events, warm_events = [], []
    train(make_workspace(two_animals, root=tmp_path / "cold"), steps=5, report=cold_events.append, **SMALL)
    result = train(warm(), steps=5, report=warm_events.append, **SMALL)
    assert result.card.base_model == sha256_of(small_model)
    losses = [[e.values["loss"] for e in events if isinstance(e, MetricEvent)] for events in (cold_events, warm_events)]
    assert losses[1][0] < losses[0][0]


def test_the_base_models_pixel_size_stays(warm, two_animals):
    finer = {name: (*rest, {**fields, "pixel_size_um": 0.12}) for name, (*rest, fields) in two_animals.items()}
    assert train(warm(finer), steps=1, report=[].append, **SMALL).card.input.pixel_size_um == 0.18


def test_a_model_that_began_with_another_is_refused(warm, tmp_path):
    workspace = warm()
    train(workspace, steps=1, report=[].append, **SMALL)
    second = workspace / "results" / "model" / "model.safetensors"
    with pytest.raises(BadInput, match="itself trained from a base model") as caught:
        train(warm(base=second, root=tmp_path / "chain"), steps=1, report=[].append, **SMALL)
    assert read_card(second).base_model in caught.value.remedy


def test_other_classes_or_another_preset_are_refused(warm, two_animals, small_model, tmp_path):
    fewer = {n: (p, (labels == 2).astype(np.uint8), f) for n, (p, labels, f) in two_animals.items()}
    palette = Palette.from_names(["other", "axon"])
    with pytest.raises(BadInput, match="the data set has other, axon"):
        train(warm(fewer, palette=palette, root=tmp_path / "a"), steps=1, report=[].append, **SMALL)
    with pytest.raises(BadInput, match="preset 'tiny'"):
        train(warm(root=tmp_path / "b"), preset="standard", steps=1, report=[].append, threads=1)
    colour = {n: (np.stack([p] * 3, axis=2), labels, f) for n, (p, labels, f) in two_animals.items()}
    with pytest.raises(BadInput, match="grey images, and these are colour"):
        train(warm(colour, root=tmp_path / "c"), steps=1, report=[].append, **SMALL)


def test_a_checkpoint_of_another_base_is_not_gone_on_from(warm, small_model, tmp_path):
    workspace = warm()
    train(workspace, steps=2, report=[].append, **SMALL)
    other = tmp_path / "other.safetensors"
    tensors = load_file(small_model)
    tensors["head.bias"] += 1
    save_file(tensors, other, metadata={CARD_KEY: read_card(small_model).canonical_json().decode()})
    shutil.copy(other, workspace / "inputs" / "base.safetensors")
    events = []
    train(workspace, steps=2, report=events.append, **SMALL)
    assert any("belongs to another training" in getattr(event, "message", "") for event in events)
