"""What a training writes beside the model: scores, curve, split, and the card in plain words."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from axonlab_core.contract.model_card import ModelCard
from axonlab_core.learning.cautions import SCOPE_IN_WORDS, cautions
from axonlab_core.learning.quality_report import environment
from axonlab_core.learning.split import Division, Region
from axonlab_core.learning.workspace import Workspace


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
    workspace.write_result("model/card.md", card_markdown(card, curve))


def curve_csv(curve: list[dict[str, float]]) -> str:
    """The training curve as CSV, one column per number; empty where a point has none."""
    columns = list(dict.fromkeys(name for point in curve for name in point))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:g}" for name, value in point.items()} for point in curve)
    return out.getvalue()


def card_markdown(card: ModelCard, curve: Sequence[Mapping[str, float]] = ()) -> str:
    """The model card for people."""
    return (
        environment()
        .get_template("card.md")
        .render(
            card=card,
            names=card.palette.names,
            kind={1: "Grey", 3: "Colour"}[card.input.channels],
            scope_words=SCOPE_IN_WORDS,
            cautions=cautions(card, curve),
        )
    )


def _region(region: Region) -> dict[str, object]:
    return {
        "name": region.image.source.name,
        "rows": [region.top, region.bottom],
        "columns": [region.left, region.right],
    }
