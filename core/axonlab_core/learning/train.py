"""A training from a workspace's inputs to its results; called by `train.ipynb`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetManifest
from axonlab_core.contract.events import WarningEvent
from axonlab_core.contract.model_card import ModelCard
from axonlab_core.learning.annotate_next import places_to_annotate
from axonlab_core.learning.base_model import load_base_model, sha256_of
from axonlab_core.learning.card_text import write_card_files
from axonlab_core.learning.cautions import cautions
from axonlab_core.learning.checkpoint import load_newest
from axonlab_core.learning.feed import Feed
from axonlab_core.learning.fit import Fit
from axonlab_core.learning.infer import Reach
from axonlab_core.learning.make_card import make_card
from axonlab_core.learning.material import gather_material
from axonlab_core.learning.model_file import save_model
from axonlab_core.learning.places import Place, examples
from axonlab_core.learning.precision import native_precision
from axonlab_core.learning.presets import Preset
from axonlab_core.learning.quality_report import training_page
from axonlab_core.learning.recipe import Recipe, read_recipe, usable_cores
from axonlab_core.learning.report import Overheard, Report, display
from axonlab_core.learning.sampling import TileSampler
from axonlab_core.learning.schedule import Plan
from axonlab_core.learning.scoring import measure_model, otsu_polarity
from axonlab_core.learning.split import Division
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.training_state import TrainingState, new_state
from axonlab_core.learning.unet import UNet, folded, new_side_heads, new_unet
from axonlab_core.learning.validation import Validation
from axonlab_core.learning.workspace import Workspace


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training came to; `lab_report` shows it."""

    card: ModelCard
    curve: list[dict[str, float]]
    """One entry per point: step, loss, and the validation's Dice where there was one."""
    examples: dict[str, Place]
    """Parts of validation images by what they are called: the weakest, a typical one, the strongest."""
    doubtful: list[Place]
    """What to annotate next."""
    cautions: list[str]
    """What to bear in mind, in plain words."""

    @property
    def example(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        """Picture and predicted labels of a typical part of a validation image."""
        place = self.examples.get("typical") or next(iter(self.examples.values()), None)
        return None if place is None else (place.picture, place.labels)


def train(
    workspace: str | Path,
    *,
    preset: str = "tiny",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    job_id: str | None = None,
    batch: int | None = None,
    tile_px: int | None = None,
    learning_rate: float | None = None,
    checkpoint_every_s: float = 60.0,
    threads: int | None = None,
    report: Report = display,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingResult:
    """Train a model on `<workspace>/inputs` and write it to `<workspace>/results/model`.

    It begins with the model `inputs/base.safetensors` where there is one, and goes on from a checkpoint of the
    same training in `<workspace>/checkpoints`. `clock` gives the seconds of which `minutes` are made.

    Raises
    ------
    BadInput
        If the data or a setting must be changed.
    Interrupted
        If the process was interrupted (SIGINT, SIGTERM); a checkpoint is saved then.
    """
    recipe, shape = read_recipe(
        preset,
        minutes=minutes,
        steps=steps,
        seed=seed,
        job_id=job_id,
        batch=batch,
        tile_px=tile_px,
        learning_rate=learning_rate,
        checkpoint_every_s=checkpoint_every_s,
    )
    torch.set_num_threads(threads or usable_cores())
    place, report = Workspace(Path(workspace)), Overheard(report)
    with Stopping() as stopping:
        manifest = place.manifest()
        base = load_base_model(place, manifest, preset)
        model_input, division, tile_px = gather_material(
            place,
            manifest,
            tile_px=recipe.tile_px,
            stride_px=shape.stride_px,
            report=report,
            base_input=None if base is None else base.card.input,
        )
        recipe = recipe.model_copy(
            update={"tile_px": tile_px, "base_model": None if base is None else sha256_of(place.base_model_file)}
        )
        state = _start_or_resume(place, manifest, recipe, shape, report, base=None if base is None else base.net)
        _fit(
            place,
            manifest,
            recipe,
            shape,
            division=division,
            state=state,
            report=report,
            stopping=stopping,
            clock=clock,
        )
        state.net.load_state_dict(state.best)
        polarity = otsu_polarity(place, division.train, len(manifest.palette.classes))
        net, reach = folded(state.net), Reach(shape.halo_px, shape.stride_px)
        measured = measure_model(
            net,
            place,
            division.val,
            palette=manifest.palette,
            model_input=model_input,
            reach=reach,
            polarity=polarity,
            scope=division.scope,
            stopping=stopping,
        )
        doubtful = places_to_annotate(net, place, manifest, model_input=model_input, reach=reach, stopping=stopping)
        card = make_card(
            manifest,
            recipe=recipe,
            model_input=model_input,
            division=division,
            state=state,
            measured=measured,
            polarity=polarity,
        )
        save_model(place.result("model/model.safetensors"), state.best, card)
        write_card_files(place, card, state.curve, division)
        said = list(dict.fromkeys([*report.warnings, *cautions(card, state.curve)]))
        result = TrainingResult(card, state.curve, examples(measured.places), doubtful, said)
        place.write_result("qc/report.html", training_page(result))
    return result


def _start_or_resume(
    workspace: Workspace,
    manifest: DatasetManifest,
    recipe: Recipe,
    shape: Preset,
    report: Report,
    *,
    base: UNet | None,
) -> TrainingState:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classes = len(manifest.palette.classes)
    net = new_unet(manifest.images[0].channels, classes, shape.widths, recipe.seed)
    if base is not None:
        net.load_state_dict(base.state_dict())
    side = new_side_heads(classes, shape.widths, recipe.seed, deep=shape.deep_supervision)
    found = load_newest(
        workspace.checkpoints,
        spec_sha256=recipe.sha256(manifest.content_sha256()),
        warn=lambda message: report(WarningEvent(message=message)),
    )
    state = new_state(
        net.to(device),
        side.to(device),
        learning_rate=recipe.learning_rate,
        precision=native_precision(device) if found is None else found.meta["precision"],
        batch=recipe.batch,
        tile_px=recipe.tile_px,
        plan=None if recipe.steps is None else Plan(steps=recipe.steps),
    )
    if found is not None:
        state.restore(found)
    return state


def _fit(
    workspace: Workspace,
    manifest: DatasetManifest,
    recipe: Recipe,
    shape: Preset,
    *,
    division: Division,
    state: TrainingState,
    report: Report,
    stopping: Stopping,
    clock: Callable[[], float],
) -> None:
    names = manifest.palette.names
    sampler = TileSampler(division.train, classes=len(names), seed=recipe.seed, augmentation=shape.augmentation)
    with Feed(sampler, state.device) as feed:
        Fit(
            state=state,
            recipe=recipe,
            stride_px=shape.stride_px,
            feed=feed,
            validation=Validation(division.val, names, stride_px=shape.stride_px),
            background=names[0],
            workspace=workspace,
            spec_sha256=recipe.sha256(manifest.content_sha256()),
            report=report,
            stopping=stopping,
            clock=clock,
        ).run()
