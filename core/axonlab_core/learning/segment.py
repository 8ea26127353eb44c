"""A segmentation from a workspace's inputs to its results; called by `infer.ipynb`."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetImage
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import WarningEvent
from axonlab_core.contract.model_card import ClassScores, ImageScores, ModelCard
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.label_tiff import write_label_tiff
from axonlab_core.imaging.metrics import agreement, mean_scores
from axonlab_core.imaging.otsu import otsu_labels
from axonlab_core.imaging.overlay import contours, overlay, stretched_rgb, write_png
from axonlab_core.learning.cautions import compared
from axonlab_core.learning.infer import TILE_PX, Image, Reach, predict
from axonlab_core.learning.magnification import scale_to_model, scale_warning
from axonlab_core.learning.model_file import load_model
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.places import MOST_DOUBTFUL, Place, doubtful_places, most_doubtful
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.quality_report import segmentation_page
from axonlab_core.learning.recipe import usable_cores
from axonlab_core.learning.report import Progress, Report, display
from axonlab_core.learning.scoring import scope_of
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.unet import UNet, folded
from axonlab_core.learning.workspace import Workspace

_OVERVIEW_PX = 640
"""Longer edge, about, of the small picture of each image that the report shows."""
_MOST_OVERVIEWS = 12


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """What a segmentation came to; `lab_report` shows it."""

    card: ModelCard
    areas: list[dict[str, Any]]
    """One row per image and class: `image, class, area_px, fraction`, and `area_um2` if any pixel size is known."""
    metrics: dict[str, Any]
    """What `results/metrics.json` holds; empty where no image has labels."""
    images: list[SegmentedImage]
    """Image by image, in the order of the data set."""
    doubtful: list[Place]
    """Where the model is least sure, in all images."""
    cautions: list[str]
    """What to bear in mind, in plain words."""

    @property
    def example(self) -> Overview | None:
        """Picture and predicted labels of the first image."""
        return self.images[0].overview


def segment(
    workspace: str | Path,
    *,
    tile_px: int = TILE_PX,
    pixel_size_um: float | None = None,
    threads: int | None = None,
    report: Report = display,
) -> SegmentationResult:
    """Segment every image of `<workspace>/inputs` with its model and write `<workspace>/results`.

    With `pixel_size_um` all images have that pixel size, in µm, whatever the data set says.

    Raises
    ------
    BadInput
        If the model file is not ours, or does not fit the images.
    Interrupted
        If the process was interrupted (SIGINT).
    """
    torch.set_num_threads(threads or usable_cores())
    place = Workspace(Path(workspace))
    with Stopping() as stopping:
        images = _at_pixel_size(place.manifest().images, pixel_size_um)
        model = load_model(place.model_file)
        notes = _check_fits(images, model.card)
        for note in notes:
            report(WarningEvent(message=note))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        work = _Work(place, folded(model.net).to(device), model.card, tile_px, stopping, Progress(report, "%"))
        found = [work.segment_image(i, image, len(images)) for i, image in enumerate(images)]
    areas = _told_areas(found)
    place.write_result("tables/summary.csv", _csv(areas))
    metrics = _metrics(found, model.card)
    if metrics:
        place.write_json("metrics.json", metrics)
    said = [*notes, *_cautions(metrics, model.card)]
    result = SegmentationResult(model.card, areas, metrics, found, work.doubtful, said)
    place.write_result("qc/report.html", segmentation_page(result))
    return result


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """What became of one image."""

    name: str
    areas: list[dict[str, Any]]
    scores: ImageScores | None
    """None where it has no labels."""
    overview: Overview | None
    """None for all but the first images."""


class Overview(NamedTuple):
    """An image and what the model says of it, made small."""

    picture: NDArray[np.uint8]
    """`(h, w, 3)`."""
    labels: NDArray[np.uint8]
    """`(h, w)`."""


@dataclass(frozen=True, eq=False)
class _Work:
    place: Workspace
    net: UNet
    card: ModelCard
    tile_px: int
    stopping: Stopping
    progress: Progress
    doubtful: list[Place] = field(default_factory=list)

    def segment_image(self, number: int, image: DatasetImage, images: int) -> SegmentedImage:
        """Segment one image and write what there is to see of it."""

        def on_tile(done: int, total: int) -> None:
            self.progress.tell(int(100 * (number + done / total) / images), 100, message=image.name)
            self.stopping.check(f"in image {number + 1} of {images}")

        preset, pixels = find_preset(self.card.preset), self.place.pixels(image)
        labels, doubt = predict(
            self.net,
            pixels,
            reach=Reach(preset.halo_px, preset.stride_px),
            brightness=measure(pixels, self.card.input.normalisation),
            scale=scale_to_model(image, self.card.input.pixel_size_um),
            tile_px=self.tile_px,
            on_tile=on_tile,
        )
        self._write_pictures(image, pixels, labels)
        truth = self.place.labels(image, len(self.card.palette.classes))
        places = doubtful_places(image.name, pixels, labels, doubt, truth=truth)
        self.doubtful[:] = most_doubtful([*self.doubtful, *places], MOST_DOUBTFUL)
        return SegmentedImage(
            image.name,
            class_areas(image, labels, self.card.palette.names),
            self._scores(image, pixels, labels, truth),
            _overview(pixels, labels) if number < _MOST_OVERVIEWS else None,
        )

    def _write_pictures(self, image: DatasetImage, pixels: Image, labels: NDArray[np.uint8]) -> None:
        palette, place = self.card.palette, self.place
        write_label_tiff(
            place.result(f"masks/{image.name}.labels.ome.tif"),
            labels,
            pixel_size_um=image.pixel_size_um,
            palette_names=palette.names,
        )
        write_png(place.result(f"overlays/{image.name}.overlay.png"), overlay(pixels, labels, palette=palette))
        write_png(place.result(f"overlays/{image.name}.contours.png"), contours(pixels, labels, palette=palette))

    def _scores(
        self, image: DatasetImage, pixels: Image, labels: NDArray[np.uint8], truth: NDArray[np.uint8] | None
    ) -> ImageScores | None:
        if truth is None or not (truth != UNKNOWN).any():
            return None
        names, dark_to_bright = self.card.palette.names, self.card.otsu_dark_to_bright
        otsu = agreement(truth, otsu_labels(pixels, dark_to_bright), len(names)) if dark_to_bright else None
        return ImageScores(
            scope=scope_of(image, self.card.split),
            model=agreement(truth, labels, len(names)).scores(names),
            otsu={} if otsu is None else otsu.scores(names),
        )


def _told_areas(images: list[SegmentedImage]) -> list[dict[str, Any]]:
    """The rows of all images; without the column of µm² where nobody knows a pixel's size."""
    rows = [row for image in images for row in image.areas]
    if all(row["area_um2"] is None for row in rows):
        rows = [{name: value for name, value in row.items() if name != "area_um2"} for row in rows]
    return rows


def _overview(pixels: Image, labels: NDArray[np.uint8]) -> Overview:
    step = max(1, round(max(labels.shape) / _OVERVIEW_PX))
    return Overview(stretched_rgb(pixels[::step, ::step]), labels[::step, ::step].copy())


def class_areas(image: DatasetImage, labels: NDArray[np.uint8], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per class: how much of the image it covers, in pixels, as a fraction, and in µm² where known."""
    counts = np.bincount(labels.ravel(), minlength=len(names))
    size = image.pixel_size_um
    return [
        {
            "image": image.name,
            "class": name,
            "area_px": int(counts[k]),
            "fraction": round(float(counts[k] / labels.size), 6),
            "area_um2": None if size is None else round(float(counts[k] * size**2), 3),
        }
        for k, name in enumerate(names)
    ]


def _at_pixel_size(images: tuple[DatasetImage, ...], pixel_size_um: float | None) -> tuple[DatasetImage, ...]:
    """The images, of that pixel size if one is given."""
    if pixel_size_um is None:
        return images
    if not (isfinite(pixel_size_um) and pixel_size_um > 0):
        raise BadInput(
            f"pixel_size_um is {pixel_size_um}.", remedy="Give the edge of one pixel in µm, for instance 0.1."
        )
    return tuple(image.model_copy(update={"pixel_size_um": float(pixel_size_um)}) for image in images)


def _check_fits(images: tuple[DatasetImage, ...], card: ModelCard) -> list[str]:
    """What one should know of the images' magnification.

    Raises
    ------
    BadInput
        If the model cannot be used on these images.
    """
    kinds = {1: "grey images", 3: "colour images"}
    if images[0].channels != card.input.channels:
        raise BadInput(
            f"The model was trained on {kinds[card.input.channels]}, and these are {kinds[images[0].channels]}.",
            remedy="Convert the images, or train a model on images like these.",
        )
    found = [scale_warning(image, card.input.pixel_size_um) for image in images]  # refuses what is too far off
    return [warning for warning in found if warning is not None]


def _cautions(metrics: dict[str, Any], card: ModelCard) -> list[str]:
    """What the scores give reason to doubt."""
    if not metrics:
        return []
    seen = [name for name, scope in metrics["scope"].items() if scope == "seen-in-training"]
    said = [f"The model has learned from {', '.join(seen)}: its scores there say nothing about other images."]
    mean = {
        which: {name: ClassScores.model_validate(row) for name, row in part["mean"].items()}
        for which, part in (("model", metrics), ("otsu", metrics["otsu"]))
    }
    return [*(said if seen else []), *compared(mean["model"], mean["otsu"], card.palette.names[0])]


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _metrics(images: list[SegmentedImage], card: ModelCard) -> dict[str, Any]:
    """Scores and their scope per image and their mean, and the same for Otsu's threshold under `otsu`."""

    def told(by_image: dict[str, dict[str, ClassScores]]) -> dict[str, Any]:
        mean = mean_scores(by_image.values(), card.palette.names)
        plain = {image: {name: s.model_dump(mode="json") for name, s in row.items()} for image, row in by_image.items()}
        return {"images": plain, "mean": {name: s.model_dump(mode="json") for name, s in mean.items()}}

    measured = {image.name: image.scores for image in images if image.scores is not None}
    if not measured:
        return {}
    by_otsu = {name: scores.otsu for name, scores in measured.items() if scores.otsu}
    return {
        "scope": {name: scores.scope for name, scores in measured.items()},
        **told({name: scores.model for name, scores in measured.items()}),
        "otsu": told(by_otsu),
    }
