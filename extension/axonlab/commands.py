"""The student's part of the command `axonlab`: train, segment, evaluate; jobs and the doctor have their own files."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from axonlab_core.contract.errors import Unavailable, UserError
from axonlab_core.contract.palette import AXON_PALETTE

if TYPE_CHECKING:
    from axonlab.client import Client
    from axonlab.datasets import Dataset
    from axonlab.result import Result
    from axonlab_core.contract.jobs import InferSpec, TrainSpec

_AXON = ",".join(AXON_PALETTE.names)
CONNECT = (
    "Set AXONLAB_SERVICE_URL (https://<hub>/services/axonlab) and AXONLAB_TOKEN (from the hub's page /hub/token); "
    "axonlab doctor says what is missing."
)
_BOTH_WAYS = (
    "Either connect to a hub: set AXONLAB_SERVICE_URL (https://<hub>/services/axonlab) and AXONLAB_TOKEN (from the "
    "hub's page /hub/token). Or run it on this machine: add --here."
)
_PATH = click.Path(path_type=Path)


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    """Options that `train` and `segment` have in common."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("--out", type=_PATH, required=True, help="New or empty folder for the result bundle."),
        click.option("--here", is_flag=True, help="Run on this machine, without a hub."),
        click.option("--pixel-size-um", type=float, help="Edge of one pixel in µm, for all images."),
        click.option("--manifest", type=_PATH, help="CSV file with the columns name, split, animal, pixel_size_um."),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--images", type=_PATH, required=True, help="Folder of images (PNG, TIFF, JPEG, BMP).")
@click.option("--labels", type=_PATH, required=True, help="Folder of label files called like the images.")
@click.option("--palette", default=_AXON, show_default=True, help="Class names by index, background first.")
@click.option("--minutes", type=float, help="How long to train, in minutes.")
@click.option("--steps", type=int, help="How long to train, in steps.")
@click.option("--preset", default="tiny", show_default=True, help="Size of the network.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random numbers.")
@click.option("--base", type=_PATH, help="Model file (.safetensors) to begin with.")
@_shared
def train(
    *,
    images: Path,
    labels: Path,
    palette: str,
    minutes: float | None,
    steps: int | None,
    preset: str,
    seed: int,
    base: Path | None,
    manifest: Path | None,
    pixel_size_um: float | None,
    here: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Train a model on labelled images; write it and all about it to OUT.

    \b
    Examples:
      axonlab train --images images --labels labels --minutes 2 --out first-model
      axonlab train --images images --labels labels --manifest animals.csv --steps 200 --here --out first-model
    """
    from axonlab.datasets import dataset
    from axonlab.model_source import model_from_file
    from axonlab.result import check_free
    from axonlab.specs import train_spec

    if (minutes is None) == (steps is None):
        raise click.UsageError("Give either --minutes or --steps: how long the training may take.")
    check_free(out)
    begin = None if base is None else model_from_file(base)
    client = None if here else reach_hub()
    data = dataset(images, labels, palette=palette.split(","), manifest=manifest, pixel_size_um=pixel_size_um)
    _note(data)
    budget: dict[str, Any] = {"minutes": minutes, "steps": steps, "preset": preset, "seed": seed}
    if client is None:
        spec = train_spec(data, **budget, name="", course=None, parameters={}, base=begin)
        result = _run_here(spec, data, None if begin is None else begin.file, out)
    else:
        result = client.train(data, **budget, base=base).result().save(out)
    _print_result(result, as_json)


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--model", type=_PATH, required=True, help="Model file (.safetensors).")
@_shared
def segment(
    *,
    images: tuple[str, ...],
    model: Path,
    manifest: Path | None,
    pixel_size_um: float | None,
    here: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Segment images (files, folders or patterns) with a model; write label images and overlays to OUT.

    \b
    Examples:
      axonlab segment new.tif --model first-model/model/model.safetensors --out masks
      axonlab segment "slides/*.png" --model m.safetensors --pixel-size-um 0.1 --here --out masks --json
    """
    from axonlab.model_source import data_for_model, model_from_file
    from axonlab.result import check_free
    from axonlab.specs import infer_spec

    check_free(out)
    used = model_from_file(model)
    client = None if here else reach_hub()
    data = data_for_model(images, used, manifest=manifest, pixel_size_um=pixel_size_um)
    if client is None:
        result = _run_here(infer_spec(data, used, name="", course=None, parameters={}), data, used.file, out)
    else:
        result = client.segment(data, model).result().save(out)
    _print_result(result, as_json)


@click.command()
@click.option("--truth", type=_PATH, required=True, help="Folder of label files that are right.")
@click.option("--prediction", type=_PATH, required=True, help="Folder of label files to be measured.")
@click.option("--palette", default=_AXON, show_default=True, help="Class names by index, background first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(truth: Path, prediction: Path, palette: str, as_json: bool) -> None:
    """Compare label files of the same names: Dice, IoU and objects by image and class (255 in the truth is left out).

    \b
    Examples:
      axonlab evaluate --truth labels --prediction masks/masks
      axonlab evaluate --truth labels --prediction masks/masks --json > scores.json
    """
    from axonlab.evaluation import evaluate as compare

    found = compare(truth, prediction, palette=palette.split(","))
    for names, lacking in ((found.only_truth, "prediction"), (found.only_prediction, "truth")):
        if names:
            click.echo(f"Note: left out, since there is no {lacking}: {', '.join(names)}", err=True)
    click.echo(
        json.dumps(found.model_dump(mode="json", include={"images", "mean"}), indent=2) if as_json else repr(found)
    )


def reach_hub(remedy: str = _BOTH_WAYS) -> Client:
    """A connection to a hub that answers.

    Raises
    ------
    UserError
        If there is none, with what to do about it.
    """
    from axonlab.client import connect

    try:
        client = connect()
        client.check()
    except (UserError, Unavailable) as error:
        raise UserError(error.message, remedy=remedy) from error
    return client


def _run_here(spec: TrainSpec | InferSpec, data: Dataset, model: Path | None, out: Path) -> Result:
    """The result of the runner's own lifecycle on this machine."""
    from axonlab.progress import JobBar
    from axonlab.result import Result
    from axonlab_core.contract.events import StateEvent
    from axonlab_core.contract.states import JobState

    run = _runner()
    with JobBar(f"{spec.kind} here") as bar:
        folder = run(spec, blobs=data.blob_files(), model=model, out=out, on_event=bar.feed)
        bar.feed(StateEvent(state=JobState.succeeded))
    return Result(folder)


def _runner() -> Callable[..., Path]:
    """What the runner's package offers for running without a hub; the packages do not import one another."""
    found = list(entry_points(group="axonlab.here", name="run"))
    try:
        return found[0].load()
    except (IndexError, ModuleNotFoundError) as error:
        lacking = error.name if isinstance(error, ModuleNotFoundError) else "the runner"
        raise UserError(
            f"--here needs {lacking}, which is not installed here.",
            remedy="Install it with: pip install 'axonlab[runner,learning]'.",
        ) from error


def _note(data: Dataset) -> None:
    for warning in data.warnings:
        click.echo(f"Note: {warning}", err=True)


def _print_result(result: Result, as_json: bool) -> None:
    from axonlab.comparison import text_table

    summary = result.summary()
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    if summary.pop("scores", None) is not None:
        click.echo(f"{result.scores}\n")
    rows = [(key, path) for key, value in summary.items() for path in (value if isinstance(value, list) else [value])]
    click.echo(text_table(("what", "where"), rows))
