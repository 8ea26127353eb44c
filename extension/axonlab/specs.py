"""What is asked for, checked here first so that a typing error costs no upload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from axonlab.datasets import Dataset
from axonlab.model_source import Model
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.jobs import InferSpec, TrainSpec, infer_minutes
from axonlab_core.contract.parameters import check_declared
from axonlab_core.contract.plain_words import in_plain_words

_DEFAULT_MINUTES = 2.0
AnySpec = TypeVar("AnySpec", TrainSpec, InferSpec)


def train_spec(
    data: Dataset,
    *,
    minutes: float | None,
    steps: int | None,
    preset: str,
    seed: int,
    name: str,
    course: str | None,
    parameters: Mapping[str, Any],
    base: Model | None = None,
) -> TrainSpec:
    """What to ask for.

    Raises
    ------
    BadInput
        If a value cannot be, in words.
    """
    if not isinstance(data, Dataset):
        raise BadInput(
            f"A model is trained on a data set, not on {type(data).__name__}.",
            remedy="Build one first: axonlab.dataset(images, labels).",
        )
    if all(image.labels is None for image in data.manifest.images):
        raise BadInput("The data set has no labels: there is nothing to learn from.", remedy="Give labels=.")
    if minutes is None and steps is None:
        minutes = _DEFAULT_MINUTES
    return _checked(
        TrainSpec,
        {
            "dataset": data.sha256,
            "minutes": minutes,
            "steps": steps,
            "preset": preset,
            "seed": seed,
            "name": name,
            "course": course,
            "base": None if base is None else base.source,
        },
        parameters,
    )


def infer_spec(
    data: Dataset, model: Model, *, name: str, course: str | None, parameters: Mapping[str, Any]
) -> InferSpec:
    """What to ask for. If no limit for the run is given, it grows with the images.

    Raises
    ------
    BadInput
        If a value cannot be, in words.
    """
    fields = {"dataset": data.sha256, "model": model.source, "name": name, "course": course}
    limit = {"wall_clock_minutes": infer_minutes(_model_px(data, model, parameters.get("pixel_size_um")))}
    return _checked(InferSpec, fields, limit | dict(parameters))


def _model_px(data: Dataset, model: Model, given_um: float | None) -> float:
    """Pixels of all images, at the model's pixel size; `given_um` is what the job is to take for the images' own."""

    def scale(pixel_size_um: float | None) -> float:
        return 1.0 if pixel_size_um is None or model.pixel_size_um is None else pixel_size_um / model.pixel_size_um

    images = data.manifest.images
    return sum(image.width_px * image.height_px * scale(given_um or image.pixel_size_um) ** 2 for image in images)


def _checked(kind: type[AnySpec], fields: dict[str, Any], parameters: Mapping[str, Any]) -> AnySpec:
    # `wall_clock_minutes` is the limit of the whole run; whatever else is given goes to the job notebook.
    rest = dict(parameters)
    limit = rest.pop("wall_clock_minutes", None)
    try:
        spec = kind.model_validate({**fields, "wall_clock_minutes": limit, "parameters": rest})
    except ValidationError as error:
        raise BadInput(in_plain_words(error.errors()), remedy="Correct it and try again.") from error
    check_declared(spec.kind, spec.parameters)
    return spec
