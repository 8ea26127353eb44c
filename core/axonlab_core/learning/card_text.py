"""What a training writes beside the model: scores, curve, split, and the card in plain words."""

from __future__ import annotations

import csv
import io

from axonlab_core.contract.model_card import ClassScores, ModelCard
from axonlab_core.learning.split import Division, Region
from axonlab_core.learning.workspace import Workspace

SCOPE_IN_WORDS = {
    "other-group": "other animals (groups) than it was trained on",
    "other-image": "other images than it was trained on, of the same animal (group)",
    "same-image": "other parts of the images it was trained on, which says little about other images",
}


def write_card_files(workspace: Workspace, card: ModelCard, curve: list[dict[str, float]], division: Division) -> None:
    """Write `model/metrics.json`, `curves.csv`, `split.json` and `card.md` of the result bundle."""
    workspace.write_json("model/metrics.json", card.scores.model_dump(mode="json"))
    workspace.write_result("model/curves.csv", curve_csv(curve))
    split = {
        "scope": division.scope,
        "pixel_size_um": card.input.pixel_size_um,
        "train": [_region(region) for region in division.train],
        "val": [_region(region) for region in division.val],
        "test": list(card.split.test),
    }
    workspace.write_json("model/split.json", split)
    workspace.write_result("model/card.md", card_markdown(card))


def curve_csv(curve: list[dict[str, float]]) -> str:
    """The training curve as CSV, one column per number; empty where a point has none."""
    columns = list(dict.fromkeys(name for point in curve for name in point))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:g}" for name, value in point.items()} for point in curve)
    return out.getvalue()


def card_markdown(card: ModelCard) -> str:
    """The model card for people."""
    size = card.input.pixel_size_um
    training, split = card.training, card.split
    rows = [
        f"| {name} | {_dice(score)} | {_dice(card.scores.otsu.get(name))} |"
        for name, score in card.scores.model.items()
    ]
    table = ["| class | model | Otsu's threshold |", "| --- | --- | --- |", *rows, ""]
    resampled = "unknown; images are taken as they are" if size is None else f"{size:g} µm; others are resampled to it"
    lines = (
        f"# A model for {', '.join(card.palette.names[1:])}",
        "",
        f"A residual U-Net, preset `{card.preset}`.",
        "",
        f"- Training: {training.steps} steps in {training.seconds / 60:.1f} minutes on {training.device}",
        f"- Pixel size: {resampled}",
        f"- Trained on: {', '.join(split.train)} ({training.labelled_fraction:.1%} of the pixels labelled)",
        f"- Validated on: {', '.join(split.val) or 'nothing'}",
        f"- Set aside for testing: {', '.join(split.test) or 'nothing'}",
        f"- Licence: {card.licence}",
        "",
        f"Dice, measured on {SCOPE_IN_WORDS[card.scores.scope]}:" if split.val else "Its quality was not measured.",
        "",
        *(table if split.val else ()),
        "The best weights were chosen by these numbers, which makes them a little too good. A test needs images",
        "that were set aside. The model has seen few images: look at what it makes of yours.",
        "",
    )
    return "\n".join(lines)


def _dice(score: ClassScores | None) -> str:
    return "–" if score is None or score.dice is None else f"{score.dice:.3f}"


def _region(region: Region) -> dict[str, object]:
    return {
        "name": region.image.source.name,
        "rows": [region.top, region.bottom],
        "columns": [region.left, region.right],
    }
