"""Result bundles as a runner writes them, with real files in them."""

import json
from datetime import UTC, datetime

import numpy as np
from safetensors.numpy import save_file

from axonlab_core.contract.model_card import (
    CARD_KEY,
    ClassScores,
    ModelCard,
    ModelInput,
    Normalisation,
    Scores,
    SplitRecord,
    Training,
)
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.label_tiff import write_label_tiff
from axonlab_core.imaging.overlay import overlay, write_png


def card(dataset="0" * 64, palette=AXON_PALETTE, channels=1):
    scores = {name: ClassScores(dice=0.9, iou=0.8) for name in palette.names}
    return ModelCard(
        preset="tiny",
        palette=palette,
        input=ModelInput(channels=channels, normalisation=Normalisation(), pixel_size_um=0.1),
        training=Training(
            steps=5,
            seconds=1.0,
            batch=2,
            tile_px=64,
            learning_rate=1e-3,
            seed=0,
            device="cpu",
            labelled_fraction=1.0,
        ),
        dataset=dataset,
        split=SplitRecord(train=("a",), val=("b",), scope="other-image"),
        scores=Scores(scope="other-image", model=scores, otsu=scores, best_step=5),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        software={},
    )


def write_model(path, model_card):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.zeros(4, np.float32)}, path, metadata={CARD_KEY: model_card.model_dump_json()})
    return path


def train_bundle(folder, dataset):
    write_model(folder / "model/model.safetensors", card(dataset))
    (folder / "model/metrics.json").write_text('{"scope": "other-image"}')
    (folder / "executed.ipynb").write_text("{}")
    (folder / "job.json").write_text("{}")
    return folder


def infer_bundle(folder, images, metrics=None):
    (folder / "masks").mkdir(parents=True)
    (folder / "overlays").mkdir()
    for name, (pixels, labels) in images.items():
        write_label_tiff(
            folder / f"masks/{name}.labels.ome.tif", labels, pixel_size_um=None, palette_names=AXON_PALETTE.names
        )
        write_png(folder / f"overlays/{name}.overlay.png", overlay(pixels, labels, palette=AXON_PALETTE))
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "executed.ipynb").write_text("{}")
    (folder / "job.json").write_text("{}")
    return folder
