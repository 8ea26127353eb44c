"""What is learned does not depend on a single pixel or label of the part that is kept for validation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, sampled_from
from safetensors.torch import load_file

from axonlab_core.learning.train import train

TILE_PX = 32


def trained(make_workspace, root, pixels, labels, seed, size):
    """Weights after a few steps, and the regions in the model's pixels."""
    workspace = make_workspace({"only": (pixels, labels, {"pixel_size_um": size})}, root=root)
    train(workspace, steps=3, batch=4, tile_px=TILE_PX, seed=seed, threads=1, report=lambda event: None)
    (newest,) = sorted((workspace / "checkpoints").glob("*.safetensors"))[-1:]
    weights = {key: value for key, value in load_file(newest).items() if key.startswith("net.")}
    return weights, json.loads((workspace / "results" / "model" / "split.json").read_text())


def kept_for_validation(split):
    (val,) = split["val"]
    return np.s_[val["rows"][0] : val["rows"][1], val["columns"][0] : val["columns"][1]]


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=integers(0, 1000), turned=sampled_from([False, True]), shape=sampled_from([(128, 224), (160, 160)]))
@pytest.mark.timeout(300)
def test_no_pixel_is_shared_not_even_through_augmentation(
    make_workspace, tmp_path_factory, sample, seed, turned, shape
):
    """Rotation, scaling and whatever else reaches beyond a tile: the other part may hold anything at all."""
    rng = np.random.default_rng(seed)
    image, truth, size = sample["rat3_data10"]
    top, left = rng.integers(0, 750 - shape[0]), rng.integers(0, 730 - shape[1])
    box = np.s_[top : top + shape[0], left : left + shape[1]]
    pixels, labels = (part[box].T.copy() if turned else part[box].copy() for part in (image, truth))
    weights, split = trained(make_workspace, tmp_path_factory.mktemp("one") / "run", pixels, labels, seed, size)
    assert split["scope"] == "same-image"

    val, guard = kept_for_validation(split), np.zeros(labels.shape, bool)
    (train_part,) = split["train"]
    guard[:] = True
    guard[train_part["rows"][0] : train_part["rows"][1], train_part["columns"][0] : train_part["columns"][1]] = False
    guard[val] = False
    assert guard.any(), "a band lies between the parts"
    band = guard.any(axis=1 if guard.all(axis=1).any() else 0)
    assert band.sum() >= TILE_PX

    # The same brightness all in all (an image is normalised as a whole), everything else anew.
    outside = guard.copy()
    outside[val] = True
    shuffled, relabelled = pixels.copy(), labels.copy()
    shuffled[outside] = rng.permutation(pixels[outside])
    known = np.zeros_like(outside)
    known[val] = True
    relabelled[known] = rng.permutation(labels[known])
    assert (shuffled != pixels).any()
    other, again = trained(make_workspace, tmp_path_factory.mktemp("other") / "run", shuffled, relabelled, seed, size)
    assert again["train"] == split["train"]
    assert all(weights[key].equal(other[key]) for key in weights)

    # The test can fail: one pixel of the part that is learned from makes another model.
    touched = pixels.copy()
    rows, columns = np.nonzero(~outside)
    middle = len(rows) // 2
    touched[rows[middle] - 8 : rows[middle] + 8, columns[middle] - 8 : columns[middle] + 8] //= 2
    other, _ = trained(make_workspace, tmp_path_factory.mktemp("touched") / "run", touched, labels, seed, size)
    assert not all(weights[key].equal(other[key]) for key in weights)
