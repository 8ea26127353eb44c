"""The pictures and tables of the lab report: what a job notebook shows of its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
from IPython.display import HTML, Image

from axonlab_core.contract.curve import curves_html
from axonlab_core.contract.model_card import ClassScores
from axonlab_core.imaging.overlay import tinted
from axonlab_core.learning.cautions import SCOPE_IN_WORDS
from axonlab_core.learning.quality_report import curves_of

if TYPE_CHECKING:
    from axonlab_core.learning.segment import SegmentationResult
    from axonlab_core.learning.train import TrainingResult

_ROWS_SHOWN = 60


def training_summary(result: TrainingResult) -> HTML:
    """What was trained on, the scores beside Otsu's threshold, and what to bear in mind."""
    card = result.card
    size = card.input.pixel_size_um
    facts = {
        "trained on": ", ".join(card.split.train),
        "validated on": ", ".join(card.split.val) or "nothing: the scores are not known",
        "set aside": ", ".join(card.split.test) or "nothing",
        "labelled": f"{card.training.labelled_fraction:.1%} of the training pixels",
        "pixel size": f"{size:g} µm" if size else "unknown",
        "steps": f"{card.training.steps} in {card.training.seconds:.0f} s on {card.training.device}",
    }
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    said = f"<p>Scores on {escape(SCOPE_IN_WORDS[card.scores.scope])}:</p>" if card.split.val else ""
    table = scores_table(card.scores.model, card.scores.otsu)
    return HTML(f"<table>{rows}</table>{said}{table}{_cautions(result.cautions)}")


def segmentation_summary(result: SegmentationResult) -> HTML:
    """How much of each image every class covers and, where there are labels, the mean scores beside Otsu's."""
    columns = list(result.areas[0])
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape('–' if v is None else str(v))}</td>" for v in row.values()) + "</tr>"
        for row in result.areas[:_ROWS_SHOWN]
    )
    more = len(result.areas) - _ROWS_SHOWN
    rest = f"<p>{more} more rows are in tables/summary.csv.</p>" if more > 0 else ""
    areas = f"<table><tr>{head}</tr>{rows}</table>{rest}{_cautions(result.cautions)}"
    if not result.metrics:
        return HTML(areas)
    model, otsu = (
        {name: ClassScores.model_validate(row) for name, row in part["mean"].items()}
        for part in (result.metrics, result.metrics["otsu"])
    )
    return HTML(f"{areas}<p>Scores, mean over the labelled images:</p>{scores_table(model, otsu)}")


def scores_table(model: Mapping[str, ClassScores], otsu: Mapping[str, ClassScores]) -> str:
    """HTML table of each class's Dice, IoU and F1 of objects at an IoU of 0.5, beside those of Otsu's threshold."""

    def cells(name: str, value: Callable[[ClassScores], float | None]) -> str:
        both = (value(scores[name]) if name in scores else None for scores in (model, otsu))
        return "".join("<td>–</td>" if number is None else f"<td>{number:.3f}</td>" for number in both)

    rows = "".join(
        f"<tr><th>{escape(name)}</th>{cells(name, lambda score: score.dice)}{cells(name, lambda score: score.iou)}"
        f"{cells(name, lambda score: score.f1(0.5))}</tr>"
        for name in model
    )
    head = "".join(f"<th>{name}</th><th>{name}, Otsu</th>" for name in ("Dice", "IoU", "F1 of objects"))
    return f"<table><tr><th></th>{head}</tr>{rows}</table>"


def training_curve(result: TrainingResult) -> HTML:
    """Loss and validation Dice over the steps."""
    return HTML(f'<div style="max-width: 40em">{curves_html(curves_of(result.curve))}</div>')


def example_picture(result: TrainingResult | SegmentationResult) -> Image | HTML:
    """A part of an image that the model was not trained on, and beside it what the model says of it."""
    if result.example is None:
        return HTML("<p>No image was set aside to show the model on.</p>")
    picture, labels = result.example
    beside = np.concatenate([picture, tinted(picture, labels, palette=result.card.palette)], axis=1)
    return Image(bytes(imagecodecs.jpeg_encode(beside, level=85)), format="jpeg")


def _cautions(said: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in said)}</ul>" if said else ""
