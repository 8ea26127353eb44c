"""`qc/report.html`: one page, without anything from elsewhere, that says how good a result is and what to do next."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import imagecodecs
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from numpy.typing import NDArray

from axonlab_core.contract.curve import Curves, curves_html
from axonlab_core.contract.events import MetricEvent
from axonlab_core.contract.model_card import ClassScores, ImageScores, ModelCard
from axonlab_core.contract.palette import UNKNOWN, Palette
from axonlab_core.imaging.overlay import tinted
from axonlab_core.learning.cautions import SCOPE_IN_WORDS
from axonlab_core.learning.places import CORE_PX, Place

if TYPE_CHECKING:
    from axonlab_core.learning.segment import SegmentationResult
    from axonlab_core.learning.train import TrainingResult

_ROWS_SHOWN = 200
_QUALITY = 88
_DIMMED = 0.45
MISSED, INVENTED, MIXED_UP = (213, 94, 0), (86, 180, 233), (204, 121, 167)
"""Colours of the errors (Okabe & Ito): told apart in every kind of colour vision, and on grey."""


class ClassRow(NamedTuple):
    """One class, as the page shows it."""

    name: str
    colour: str
    model: ClassScores
    otsu: ClassScores | None


class ImageRow(NamedTuple):
    """One image and class in the table."""

    image: str
    scope: str
    name: str
    model: ClassScores
    otsu: ClassScores | None


class Shown(NamedTuple):
    """A place with its pictures as data URIs, by caption."""

    place: Place
    name: str
    pictures: dict[str, str]


def training_page(result: TrainingResult) -> str:
    """The report of a training as HTML."""
    card, scores = result.card, result.card.scores
    measured = bool(card.split.val)
    return _page(
        "training.html",
        card,
        classes=_class_rows(scores.model, scores.otsu, card.palette) if measured else [],
        cautions=result.cautions,
        curve=Markup(curves_html(curves_of(result.curve))),  # noqa: S704 (it escapes what it is given)
        rows=_image_rows(scores.images, card.palette),
        examples=[_example(name, place, card.palette) for name, place in result.examples.items()],
        doubtful=[_doubtful(place, card.palette) for place in result.doubtful],
    )


def segmentation_page(result: SegmentationResult) -> str:
    """The report of a segmentation as HTML."""
    card = result.card
    measured = {image.name: image.scores for image in result.images if image.scores is not None}
    classes: list[ClassRow] = []
    if result.metrics:
        model, otsu = (
            {name: ClassScores.model_validate(row) for name, row in part["mean"].items()}
            for part in (result.metrics, result.metrics["otsu"])
        )
        classes = _class_rows(model, otsu, card.palette)
    return _page(
        "segmentation.html",
        card,
        classes=classes,
        images=len(result.images),
        measured=len(measured),
        cautions=result.cautions,
        rows=_image_rows(measured, card.palette),
        areas=result.areas[:_ROWS_SHOWN],
        with_um="area_um2" in result.areas[0],
        more=max(0, len(result.areas) - _ROWS_SHOWN),
        overviews=[
            (
                image.name,
                _uri(image.overview.picture),
                _uri(tinted(image.overview.picture, image.overview.labels, palette=card.palette)),
            )
            for image in result.images
            if image.overview is not None
        ],
        doubtful=[_doubtful(place, card.palette) for place in result.doubtful],
    )


def difference(picture: NDArray[np.uint8], labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`(H, W, 3)` picture of where a prediction differs from the labels; what has no label is dark.

    Parameters
    ----------
    picture : (H, W, 3) uint8 array
    labels, truth : (H, W) uint8 arrays
        Class index of each pixel as predicted and as labelled, 255 = unknown.
    """
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    grey[truth == UNKNOWN] *= _DIMMED
    known = truth != UNKNOWN
    for where, colour in (
        ((truth != 0) & (labels == 0), MISSED),
        ((truth == 0) & (labels != 0), INVENTED),
        ((truth != 0) & (labels != 0) & (truth != labels), MIXED_UP),
    ):
        grey[where & known] = colour
    return np.rint(grey).astype(np.uint8)


def _class_rows(model: Mapping[str, ClassScores], otsu: Mapping[str, ClassScores], palette: Palette) -> list[ClassRow]:
    """Each class but the background."""
    return [
        ClassRow(entry.name, entry.colour, model[entry.name], otsu.get(entry.name))
        for entry in palette.classes[1:]
        if entry.name in model
    ]


def _image_rows(images: Mapping[str, ImageScores], palette: Palette) -> list[ImageRow]:
    return [
        ImageRow(image, scores.scope or "unknown", name, scores.model[name], scores.otsu.get(name))
        for image, scores in images.items()
        for name in palette.names
        if name in scores.model
    ][:_ROWS_SHOWN]


def _example(name: str, place: Place, palette: Palette) -> Shown:
    truth = np.full_like(place.labels, UNKNOWN) if place.truth is None else place.truth
    pictures = {
        "image": place.picture,
        "labelled by hand": tinted(place.picture, truth, palette=palette),
        "the model": tinted(place.picture, place.labels, palette=palette),
        "where they differ": difference(place.picture, place.labels, truth),
    }
    return Shown(place, name, {caption: _uri(picture) for caption, picture in pictures.items()})


def _doubtful(place: Place, palette: Palette) -> Shown:
    pictures = {
        "image": _framed(place.picture, place),
        "the model": _framed(tinted(place.picture, place.labels, palette=palette), place),
    }
    return Shown(place, "", {caption: _uri(picture) for caption, picture in pictures.items()})


def _framed(picture: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    """The picture with a black and a white line round the square that is meant."""
    out = picture.copy()
    frame = place.frame
    inside = out[frame.top - place.top : frame.bottom - place.top, frame.left - place.left : frame.right - place.left]
    for inset, value in ((0, 0), (1, 255)):
        for edge in (inset, -1 - inset):
            inside[edge, inset : inside.shape[1] - inset] = value
            inside[inset : inside.shape[0] - inset, edge] = value
    return out


def _uri(picture: NDArray[np.uint8]) -> str:
    jpeg = bytes(imagecodecs.jpeg_encode(np.ascontiguousarray(picture), level=_QUALITY))
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def curves_of(curve: Iterable[Mapping[str, float]]) -> Curves:
    """The curve of a training as one that can be drawn."""
    curves = Curves()
    for point in curve:
        values = {name: value for name, value in point.items() if name != "step"}
        curves.add(MetricEvent(step=int(point["step"]), values=values))
    return curves


def _page(template: str, card: ModelCard, **values: object) -> str:
    return (
        environment()
        .get_template(template)
        .render(
            card=card,
            core_px=CORE_PX,
            scope_words=SCOPE_IN_WORDS,
            errors=[("missed", MISSED), ("invented", INVENTED), ("taken for another class", MIXED_UP)],
            **values,
        )
    )


@cache
def environment() -> Environment:
    """Where the templates are; what is put into HTML is escaped."""
    found = Environment(
        loader=PackageLoader("axonlab_core.learning", "report_pages"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"score": _score, "and": _and}
    return found


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)
