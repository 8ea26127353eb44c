"""Workspaces made from crops of the shipped sample, for trainings of a few steps."""

from __future__ import annotations

import csv
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch

import workspaces
from axonlab_core.contract.dataset import DatasetImage
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.contract.tickets import Blob
from axonlab_core.learning.prepare import PreparedImage
from axonlab_core.learning.train import train

SAMPLE = Path(__file__).parents[3] / "notebooks" / "data" / "axon_sem"


@pytest.fixture(scope="session")
def sample():
    """Image, labels and pixel size of the shipped images by name."""
    with (SAMPLE / "manifest.csv").open() as file:
        sizes = {row["name"]: float(row["pixel_size_um"]) for row in csv.DictReader(file)}

    def read(folder, name):
        return imagecodecs.png_decode((SAMPLE / folder / f"{name}.png").read_bytes())

    return {name: (read("images", name), read("masks", name), size) for name, size in sizes.items()}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def make_workspace(tmp_path):
    """A function that lays out a workspace from `(pixels, labels, fields of DatasetImage)` by name."""

    def make(images, *, palette=AXON_PALETTE, root=tmp_path / "run"):
        return workspaces.lay_out(root, images, palette)

    return make


def _crops(sample):
    def crop(name, split):
        pixels, labels, size = sample[name]
        box = np.s_[200:328, 300:428]
        return pixels[box].copy(), labels[box].copy(), {"split": split, "group": name, "pixel_size_um": size}

    return {
        "rat1": crop("rat1_data1", "train"),
        "rat3": crop("rat3_data10", "val"),
        "rat2": crop("rat2_data5", "test"),
    }


@pytest.fixture
def two_animals(sample):
    """Crops of two animals to train and validate on, and one of a third that is set aside."""
    return _crops(sample)


@pytest.fixture(scope="session")
def small_model(sample, tmp_path_factory):
    """A model file that was trained for a few steps on `two_animals`."""
    root = workspaces.lay_out(tmp_path_factory.mktemp("training") / "run", _crops(sample))
    train(root, steps=12, report=[].append, batch=2, tile_px=48, threads=1)
    return root / "results" / "model" / "model.safetensors"


@pytest.fixture
def prepared():
    """A function that makes a PreparedImage of a label image, with pixels that tell their place."""

    def make(name, labels, *, split="auto", group=""):
        blob = Blob(sha256="0" * 64, size_bytes=1)
        height, width = labels.shape
        source = DatasetImage(
            name=name, image=blob, labels=blob, width_px=width, height_px=height, channels=1, dtype="uint8",
            split=split, group=group,
        )  # fmt: skip
        place = np.arange(height * width, dtype=np.float32).reshape(height, width, 1)
        return PreparedImage(source, 1.0, place, labels, np.bincount(labels[labels != 255], minlength=3))

    return make
