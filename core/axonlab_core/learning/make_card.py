"""The card of a model that has just been trained."""

from __future__ import annotations

import platform

import numpy as np
import torch

import axonlab_core
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.dataset import DatasetManifest, Split
from axonlab_core.contract.model_card import ModelCard, ModelInput, Scores, SplitRecord, Training
from axonlab_core.learning.prepare import labelled_fraction
from axonlab_core.learning.recipe import Recipe
from axonlab_core.learning.scoring import Measured
from axonlab_core.learning.split import Division, labelled_pixels
from axonlab_core.learning.training_state import TrainingState


def make_card(
    manifest: DatasetManifest,
    *,
    recipe: Recipe,
    model_input: ModelInput,
    division: Division,
    state: TrainingState,
    measured: Measured,
    polarity: tuple[int, ...],
) -> ModelCard:
    """What one must know of the model in `state`."""
    used = {region.image.source.name: region.image.source for region in (*division.train, *division.val)}
    learned_from = np.sum([labelled_pixels(region) for region in division.train], axis=0)
    return ModelCard(
        preset=recipe.preset,
        palette=manifest.palette,
        input=model_input,
        training=Training(
            steps=state.step,
            seconds=state.spent_s,
            batch=state.batch,
            tile_px=state.tile_px,
            learning_rate=recipe.learning_rate,
            seed=recipe.seed,
            device=str(state.device),
            precision=state.precision,
            labelled_fraction=labelled_fraction([region.image for region in division.train]),
            labelled_px=dict(zip(manifest.palette.names, learned_from.tolist(), strict=True)),
        ),
        dataset=manifest.content_sha256(),
        base_model=recipe.base_model,
        split=SplitRecord(
            train=tuple(dict.fromkeys(region.image.source.name for region in division.train)),
            val=tuple(dict.fromkeys(region.image.source.name for region in division.val)),
            test=tuple(image.name for image in manifest.images if image.split == Split.test),
            scope=division.scope,
            groups={name: image.group for name, image in used.items() if image.group},
            sha256={name: image.image.sha256 for name, image in used.items()},
        ),
        scores=Scores(
            scope=division.scope,
            model=measured.model,
            otsu=measured.otsu,
            images=measured.images,
            best_step=state.best_step,
        ),
        otsu_dark_to_bright=polarity,
        job_id=recipe.job_id,
        created_at=utc_now(),
        software={
            "axonlab": axonlab_core.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )
