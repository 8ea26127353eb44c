"""Warm start: a training that begins with the weights of a published model.

The model is trained further on the whole data set as it is now, every time from the same base: a training is
never continued from its own last result. What a model knows is then said by its data set and its base, and
mistakes of earlier rounds of annotation are forgotten with their labels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from axonlab_core.contract.base_model import check_base
from axonlab_core.contract.dataset import DatasetManifest
from axonlab_core.learning.model_file import Model, load_model
from axonlab_core.learning.workspace import Workspace


def load_base_model(workspace: Workspace, manifest: DatasetManifest, preset: str) -> Model | None:
    """The model to begin with; None if the workspace has none.

    Raises
    ------
    BadInput
        If it is no model of ours, is of another preset or kind of image, has other classes, or began with
        another model itself.
    """
    path = workspace.base_model_file
    if not path.is_file():
        return None
    model = load_model(path)
    check_base(model.card, manifest, preset)
    return model


def sha256_of(path: Path) -> str:
    """The sha256 of a file, by which a model is known."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
