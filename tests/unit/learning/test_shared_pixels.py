"""What is learned does not depend on a single pixel or label of the part that is kept for validation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import integers, sampled_from
from safetensors.torch import load_file

from axonlab_core.learning.train import train

TILE_PX = 32


@pytest.fixture
def trained(make_workspace, tmp_path_factory, sample):
    """A function that gives the weights after two steps, and the regions in the model's pixels."""
    fields = {"pixel_size_um": sample["rat3_data10"][2]}

    def run(pixels, labels, seed):
        root = tmp_path_factory.mktemp("training") / "run"
        workspace = make_workspace({"only": (pixels, labels, fields)}, root=root)
        train(workspace, steps=2, batch=4, tile_px=TILE_PX, seed=seed, threads=1, report=[].append)
        newest = max((workspace / "checkpoints").glob("*.safetensors"))
        weights = {key: value for key, value in load_file(newest).items() if key.startswith("net.")}
        return weights, json.loads((workspace / "results" / "model" / "split.json").read_text())

    return run


def box_of(region):
    return np.s_[region["rows"][0] : region["rows"][1], region["columns"][0] : region["columns"][1]]


def masks(split, shape):
    """Where it is learned from and where it is validated; the band between is in neither."""
    (learned,), (kept,) = split["train"], split["val"]
    inside, val = np.zeros(shape, bool), np.zeros(shape, bool)
    inside[box_of(learned)], val[box_of(kept)] = True, True
    return inside, val


CASES = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)


@CASES
@given(seed=integers(0, 1000), turned=sampled_from([False, True]))
@pytest.mark.timeout(300)
def test_no_pixel_is_shared_not_even_through_augmentation(trained, sample, seed, turned):
    """Rotation, scaling and whatever else reaches beyond a tile: the other part may hold anything at all."""
    rng = np.random.default_rng(seed)
    image, truth, _ = sample["rat3_data10"]
    top, left = rng.integers(0, 500, 2)
    pixels, labels = (part[top : top + 128, left : left + 224].copy() for part in (image, truth))
    if turned:
        pixels, labels = pixels.T.copy(), labels.T.copy()
    weights, split = trained(pixels, labels, seed)
    assert split["scope"] == "same-image"
    inside, val = masks(split, labels.shape)
    assert not (inside & val).any()
    band = ~(inside | val)
    assert band.all(axis=0).sum() >= TILE_PX or band.all(axis=1).sum() >= TILE_PX

    # The same brightness all in all (an image is normalised as a whole), and everything else anew.
    shuffled, relabelled = pixels.copy(), labels.copy()
    shuffled[~inside] = rng.permutation(pixels[~inside])
    relabelled[val] = rng.permutation(labels[val])
    assert (shuffled != pixels).any()
    other, again = trained(shuffled, relabelled, seed)
    assert again["train"] == split["train"]
    assert all(weights[key].equal(other[key]) for key in weights)

    # The test can fail: with other pixels in the part that is learned from, it is another model.
    other, _ = trained(np.where(inside, 255 - pixels, pixels), labels, seed)
    assert not all(weights[key].equal(other[key]) for key in weights)
