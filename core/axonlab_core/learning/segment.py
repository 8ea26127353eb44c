"""A segmentation from a workspace's inputs to its results; called by `infer.ipynb`."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from axonlab_core.contract.dataset import DatasetImage
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import WarningEvent
from axonlab_core.contract.model_card import ClassScores, ModelCard
from axonlab_core.contract.palette import UNKNOWN
from axonlab_core.imaging.label_tiff import read_label_tiff, write_label_tiff
from axonlab_core.imaging.metrics import confusion, mean_scores, scores
from axonlab_core.imaging.otsu import otsu_labels
from axonlab_core.imaging.overlay import contours, overlay, write_png
from axonlab_core.learning.infer import TILE_PX, Image, Reach, predict_labels
from axonlab_core.learning.magnification import scale_to_model, scale_warning
from axonlab_core.learning.model_file import load_model
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.recipe import usable_cores
from axonlab_core.learning.report import Progress, Report, display
from axonlab_core.learning.stopping import Stopping
from axonlab_core.learning.unet import UNet, folded
from axonlab_core.learning.workspace import Workspace


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """What a segmentation came to; `lab_report` shows it."""

    card: ModelCard
    areas: list[dict[str, Any]]
    """One row per image and class: `image, class, area_px, fraction, area_um2`."""
    metrics: dict[str, Any]
    """What `results/metrics.json` holds; empty where no image has labels."""
    example: tuple[str, Image, NDArray[np.uint8]]
    """Name, pixels and predicted labels of the first image."""


def segment(
    workspace: str | Path, *, tile_px: int = TILE_PX, threads: int | None = None, report: Report = display
) -> SegmentationResult:
    """Segment every image of `<workspace>/inputs` with its model and write `<workspace>/results`.

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
        manifest = place.manifest()
        model = load_model(place.model_file)
        _check_fits(manifest.images, model.card, report)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        work = _Work(place, folded(model.net).to(device), model.card, tile_px, stopping, Progress(report, "%"))
        results = [work.segment_image(i, image, len(manifest.images)) for i, image in enumerate(manifest.images)]
        first = manifest.images[0]
        example = (first.name, place.pixels(first), read_label_tiff(place.result(f"masks/{first.name}.labels.ome.tif")))
    areas = [row for result in results for row in result.areas]
    place.write_result("tables/summary.csv", _csv(areas))
    metrics = _metrics(results, model.card)
    if metrics:
        place.write_json("metrics.json", metrics)
    return SegmentationResult(model.card, areas, metrics, example)


@dataclass(frozen=True, eq=False)
class _ImageResult:
    name: str
    areas: list[dict[str, Any]]
    model: dict[str, ClassScores] | None
    otsu: dict[str, ClassScores] | None


@dataclass(frozen=True, eq=False)
class _Work:
    place: Workspace
    net: UNet
    card: ModelCard
    tile_px: int
    stopping: Stopping
    progress: Progress

    def segment_image(self, number: int, image: DatasetImage, images: int) -> _ImageResult:
        """Segment one image and write what there is to see of it."""

        def on_tile(done: int, total: int) -> None:
            self.progress.tell(int(100 * (number + done / total) / images), 100, message=image.name)
            self.stopping.check(f"in image {number + 1} of {images}")

        preset, pixels = find_preset(self.card.preset), self.place.pixels(image)
        labels = predict_labels(
            self.net,
            pixels,
            reach=Reach(preset.halo_px, preset.stride_px),
            brightness=measure(pixels, self.card.input.normalisation),
            scale=scale_to_model(image, self.card.input.pixel_size_um),
            tile_px=self.tile_px,
            on_tile=on_tile,
        )
        self._write_pictures(image, pixels, labels)
        return self._measured(image, pixels, labels)

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

    def _measured(self, image: DatasetImage, pixels: Image, labels: NDArray[np.uint8]) -> _ImageResult:
        names = self.card.palette.names
        areas = class_areas(image, labels, names)
        truth = self.place.labels(image, len(names))
        if truth is None or not (truth != UNKNOWN).any():
            return _ImageResult(image.name, areas, None, None)
        by_model = scores(confusion(truth, labels, len(names)), names)
        by_otsu = None
        if self.card.otsu_dark_to_bright:
            otsu = otsu_labels(pixels, self.card.otsu_dark_to_bright)
            by_otsu = scores(confusion(truth, otsu, len(names)), names)
        return _ImageResult(image.name, areas, by_model, by_otsu)


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


def _check_fits(images: tuple[DatasetImage, ...], card: ModelCard, report: Report) -> None:
    kinds = {1: "grey images", 3: "colour images"}
    if images[0].channels != card.input.channels:
        raise BadInput(
            f"The model was trained on {kinds[card.input.channels]}, and these are {kinds[images[0].channels]}.",
            remedy="Convert the images, or train a model on images like these.",
        )
    for image in images:
        warning = scale_warning(image, card.input.pixel_size_um)  # refuses sizes that are too far off
        if warning is not None:
            report(WarningEvent(message=warning))


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _metrics(results: list[_ImageResult], card: ModelCard) -> dict[str, Any]:
    """Scores per image and their mean, and the same for Otsu's threshold under `otsu`."""

    def told(by_image: dict[str, dict[str, ClassScores]]) -> dict[str, Any]:
        mean = mean_scores(by_image.values(), card.palette.names)
        plain = {image: {name: s.model_dump(mode="json") for name, s in row.items()} for image, row in by_image.items()}
        return {"images": plain, "mean": {name: s.model_dump(mode="json") for name, s in mean.items()}}

    by_model = {r.name: r.model for r in results if r.model is not None}
    by_otsu = {r.name: r.otsu for r in results if r.otsu is not None}
    return {**told(by_model), "otsu": told(by_otsu)} if by_model else {}
