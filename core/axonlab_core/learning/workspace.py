"""The folder a run works in: what lies where."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from axonlab_core.contract.dataset import DatasetImage, DatasetManifest
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.jobs import BASE_FILE, MODEL_FILE
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.canonical import decode


@dataclass(frozen=True)
class Workspace:
    """`inputs/` (data set, blobs, model), `checkpoints/` and `results/` under one root."""

    root: Path

    @property
    def model_file(self) -> Path:
        """The model to segment with."""
        return self.root / "inputs" / MODEL_FILE

    @property
    def base_model_file(self) -> Path:
        """The model to begin a training with; there need not be one."""
        return self.root / "inputs" / BASE_FILE

    @property
    def checkpoints(self) -> Path:
        """Where a training saves itself."""
        return self.root / "checkpoints"

    def manifest(self) -> DatasetManifest:
        """The data set of this run.

        Raises
        ------
        BadInput
            If it is missing or no data set manifest.
        """
        path = self.root / "inputs" / "dataset.json"
        try:
            return DatasetManifest.read_answer(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadInput(
                f"inputs/{path.name} cannot be read as a data set ({error}).", remedy="Build the data set again."
            ) from error

    def pixels(self, image: DatasetImage) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """`(H, W)` or `(H, W, 3)` pixels of an image of the data set."""
        pixels = decode(self.root / "inputs" / "blobs" / image.image.sha256)
        shape = (image.height_px, image.width_px, *([3] if image.channels == 3 else []))  # noqa: PLR2004 (RGB)
        if pixels.shape != shape:
            raise BadInput(
                f"Image {image.name!r} has the shape {pixels.shape}; its data set says {shape}.",
                remedy="Build the data set again.",
            )
        return pixels

    def labels(self, image: DatasetImage, classes: int) -> NDArray[np.uint8] | None:
        """`(H, W)` label image of an image of the data set; None if it has none."""
        if image.labels is None:
            return None
        labels = decode(self.root / "inputs" / "blobs" / image.labels.sha256)
        if labels.shape != (image.height_px, image.width_px) or labels.dtype != np.uint8:
            raise BadInput(
                f"The labels of {image.name!r} have the shape {labels.shape} and type {labels.dtype}; its image has "
                f"{image.height_px} × {image.width_px} px.",
                remedy="Give each image a label image of its own size.",
            )
        occurring = np.flatnonzero(np.bincount(labels.ravel(), minlength=UNKNOWN + 1))
        foreign = sorted(set(occurring.tolist()) - set(range(classes)) - {UNKNOWN})
        if foreign:
            raise BadInput(
                f"The labels of {image.name!r} hold the values {foreign}, and the palette has {classes} classes.",
                remedy=f"Use 0 to {classes - 1} for the classes and {UNKNOWN} for unknown.",
            )
        return labels.astype(np.uint8, copy=False)

    def result(self, path: str) -> Path:
        """Where the file `path` of the result bundle goes; its folder exists afterwards."""
        target = self.root / "results" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def write_result(self, path: str, text: str) -> None:
        """Write a text file of the result bundle: whole, or not at all."""
        target = self.result(path)
        beside = target.with_name(f"{target.name}.part")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, target)  # noqa: PTH105 (Path.replace says the same)

    def write_json(self, path: str, value: Any) -> None:
        """Write a JSON file of the result bundle."""
        self.write_result(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
