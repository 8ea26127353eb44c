"""What a training was asked to do: its settings, checked, with the preset's defaults filled in."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from axonlab_core.contract.base import Identifier, Sha256, Value
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.jobs import MAX_MINUTES, MAX_STEPS
from axonlab_core.learning.presets import Preset, find_preset

_SMALLEST_TILE_PX = 32


class Recipe(Value):
    """Settings of one training."""

    preset: Literal["tiny", "standard"]
    minutes: float | None = Field(default=None, gt=0, le=MAX_MINUTES)
    steps: int | None = Field(default=None, gt=0, le=MAX_STEPS)
    seed: int = Field(default=0, ge=0, lt=2**31)
    job_id: Identifier | None = None
    batch: int = Field(ge=2, le=64)
    tile_px: int = Field(ge=_SMALLEST_TILE_PX, le=1024)
    learning_rate: float = Field(gt=0, le=1)
    checkpoint_every_s: float = Field(gt=0)
    base_model: Sha256 | None = None
    """Hash of the model file to begin with; None begins with random weights."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if (self.minutes is None) == (self.steps is None):
            msg = "give either minutes or steps: how long the training may take"
            raise ValueError(msg)
        return self

    @property
    def budget_s(self) -> float | None:
        """Seconds that the training may take; None if it was given a number of steps."""
        return None if self.minutes is None else self.minutes * 60

    def sha256(self, dataset_sha256: str) -> str:
        """Names this training of this data set: only its own checkpoints may be resumed."""
        said = self.model_dump_json(exclude={"checkpoint_every_s"}) + dataset_sha256
        return hashlib.sha256(said.encode()).hexdigest()


def read_recipe(preset: str, **settings: Any) -> tuple[Recipe, Preset]:
    """The recipe made of `settings` (those that are None left to the preset), and the preset.

    Raises
    ------
    BadInput
        If a setting is out of range, or not exactly one of minutes and steps is given.
    """
    shape = find_preset(preset)
    given = {name: value for name, value in settings.items() if value is not None}
    defaults = {"batch": shape.batch, "tile_px": shape.tile_px, "learning_rate": shape.learning_rate}
    try:
        recipe = Recipe.model_validate({"preset": preset, **defaults, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "The settings"
        raise BadInput(f"{name}: {first['msg']}.", remedy="Change it and submit the job again.") from error
    if recipe.tile_px % shape.stride_px:
        raise BadInput(
            f"tile_px is {recipe.tile_px}.", remedy=f"Use a multiple of {shape.stride_px} for the preset {preset!r}."
        )
    return recipe, shape


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
