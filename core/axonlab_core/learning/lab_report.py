"""The pictures and tables of the lab report: what a job notebook shows of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
from IPython.display import HTML, SVG, Image

from axonlab_core.contract.model_card import ClassScores
from axonlab_core.contract.palette import Palette
from axonlab_core.imaging.overlay import overlay, stretched_rgb
from axonlab_core.learning.card_text import SCOPE_IN_WORDS

if TYPE_CHECKING:
    from axonlab_core.learning.segment import SegmentationResult
    from axonlab_core.learning.train import TrainingResult

_WIDTH, _HEIGHT, _MARGIN = 620, 240, 36
_PICTURE_PX = 420


def training_summary(result: TrainingResult) -> HTML:
    """What was trained on, and the scores beside Otsu's threshold."""
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
    return HTML(f"<table>{rows}</table>{said}{scores_table(card.scores.model, card.scores.otsu)}")


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
    areas = f"<table><tr>{head}</tr>{rows}</table>{rest}"
    if not result.metrics:
        return HTML(areas)
    model, otsu = (
        {name: ClassScores.model_validate(row) for name, row in part["mean"].items()}
        for part in (result.metrics, result.metrics["otsu"])
    )
    return HTML(f"{areas}<p>Scores, mean over the labelled images:</p>{scores_table(model, otsu)}")


_ROWS_SHOWN = 60


def scores_table(model: Mapping[str, ClassScores], otsu: Mapping[str, ClassScores]) -> str:
    """HTML table of Dice and IoU by class, the model's beside those of Otsu's threshold."""

    def cell(score: ClassScores | None, which: str) -> str:
        value = None if score is None else getattr(score, which)
        return "<td>–</td>" if value is None else f"<td>{value:.3f}</td>"

    rows = "".join(
        f"<tr><th>{escape(name)}</th>{cell(score, 'dice')}{cell(otsu.get(name), 'dice')}"
        f"{cell(score, 'iou')}{cell(otsu.get(name), 'iou')}</tr>"
        for name, score in model.items()
    )
    head = "<tr><th></th><th>Dice</th><th>Dice, Otsu</th><th>IoU</th><th>IoU, Otsu</th></tr>"
    return f"<table>{head}{rows}</table>"


def training_curve(result: TrainingResult) -> SVG:
    """Loss and validation Dice over the steps."""
    return SVG(curve_svg(result.curve, result.card.palette))


def curve_svg(curve: Sequence[Mapping[str, float]], palette: Palette) -> str:
    """An SVG picture of a training curve: the loss in grey, each class's validation Dice in its colour."""
    last = max((point["step"] for point in curve), default=1.0)
    top = max([1.0, *(point["loss"] for point in curve)])
    lines = [_line(curve, "loss", "#888888", last, top)]
    legend = [("loss", "#888888")]
    for index, entry in enumerate(palette.classes):
        colour = entry.colour if index else "#444444"
        lines.append(_line(curve, f"val_dice_{entry.name}", colour, last, top))
        legend.append((f"Dice of {entry.name}", colour))
    words = "".join(
        f'<text x="{_WIDTH - 150}" y="{_MARGIN + 16 * i}" fill="{colour}">{escape(name)}</text>'
        for i, (name, colour) in enumerate(legend)
    )
    base, right = _HEIGHT - _MARGIN, _WIDTH - 160
    axes = (
        f'<path d="M{_MARGIN},{_MARGIN // 2}V{base}H{right}" fill="none" stroke="#444444"/>'
        f'<text x="4" y="{_MARGIN // 2 + 6}">{top:.2g}</text><text x="4" y="{base}">0</text>'
        f'<text x="{right - 60}" y="{base + 18}">step {last:.0f}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{axes}{"".join(lines)}{words}</svg>'
    )


def example_picture(result: TrainingResult | SegmentationResult) -> Image | HTML:
    """An image that the model was not trained on, and beside it what the model says of it."""
    if result.example is None:
        return HTML("<p>No image was set aside to show the model on.</p>")
    _, pixels, labels = result.example
    step = max(1, round(max(labels.shape) / _PICTURE_PX))
    small, small_labels = pixels[::step, ::step], labels[::step, ::step]
    beside = [stretched_rgb(small), overlay(small, small_labels, palette=result.card.palette)]
    return Image(bytes(imagecodecs.jpeg_encode(np.concatenate(beside, axis=1), level=85)), format="jpeg")


def _line(curve: Sequence[Mapping[str, float]], name: str, colour: str, last: float, top: float) -> str:
    width, height = _WIDTH - 160 - _MARGIN, _HEIGHT - _MARGIN - _MARGIN // 2
    points = " ".join(
        f"{_MARGIN + width * point['step'] / last:.1f},{_HEIGHT - _MARGIN - height * point[name] / top:.1f}"
        for point in curve
        if name in point
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>' if points else ""
