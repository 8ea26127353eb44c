"""How well label images agree with the truth, image by image and class by class."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from axonlab.comparison import html_table, number, text_table
from axonlab.datasets import palette_from_names
from axonlab.sources import label_files, report
from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import ClassScores
from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.imaging.metrics import agreement, mean_scores
from axonlab_core.imaging.read import read_labels

_HEADER = ("image", "class", "Dice", "IoU", "F1 at 0.5", "AP at 0.5", "F1 at 0.3", "AP at 0.3")
_IOUS = (0.5, 0.3)
_PNG = struct.Struct(">8s8xII")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Evaluation(Value):
    """Dice, IoU and objects by image and class, their means, and what could not be compared."""

    images: dict[str, dict[str, ClassScores]]
    mean: dict[str, ClassScores]
    """Over the images in which the class occurs."""
    only_truth: tuple[str, ...] = ()
    """Images without a prediction: they are in no mean."""
    only_prediction: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, ...]]:
        """Image, class, Dice, IoU, and F1 and AP of objects, ready to print; the means last."""
        every = [*self.images.items(), ("mean", self.mean)]
        return [
            (image, name, number(score.dice), number(score.iou), *_objects(score))
            for image, classes in every
            for name, score in classes.items()
        ]

    def __str__(self) -> str:
        return text_table(_HEADER, self.rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(_HEADER, self.rows())


def evaluate(
    truth: str | Path, prediction: str | Path, *, palette: Palette | Sequence[str] = AXON_PALETTE
) -> Evaluation:
    """Dice, IoU and found objects of the label files in `prediction` against those of the same names in `truth`.

    What counts as an object, and as found, is said in `axonlab_core.imaging.objects`; AP is TP / (TP + FP + FN).

    Parameters
    ----------
    truth : folder
        Label files: integer PNG or TIFF, or GeoJSON. Pixels of 255 (unknown) do not count.
    prediction : folder
        Label files of the same stems (`rat1.labels.ome.tif`, `rat1.png`), or a result bundle's folder.
    palette : sequence of str
        Class names by index.

    Raises
    ------
    BadInput
        If no name is in both, or files cannot be used: all of them at once.
    """
    classes = palette if isinstance(palette, Palette) else palette_from_names(palette)
    true_files = label_files(Path(truth).expanduser())
    predicted_files = label_files(_label_folder(Path(prediction).expanduser()))
    both = sorted(true_files.keys() & predicted_files.keys())
    if not both:
        raise BadInput(
            f"No label file has the same name in {truth} ({_first(true_files)}) and {prediction} "
            f"({_first(predicted_files)}).",
            remedy="Call the files alike, for instance truth/rat1.png and prediction/rat1.labels.ome.tif.",
        )
    found: dict[str, dict[str, ClassScores]] = {}
    problems: list[BadInput] = []
    for name in both:
        try:
            found[name] = _compare(true_files[name], predicted_files[name], classes)
        except BadInput as problem:
            problems.append(BadInput(f"{name}: {problem.message}", remedy=problem.remedy))
    report(problems, of=len(both), what="comparisons")
    return Evaluation(
        images=found,
        mean=mean_scores(found.values(), classes.names),
        only_truth=tuple(sorted(true_files.keys() - predicted_files.keys())),
        only_prediction=tuple(sorted(predicted_files.keys() - true_files.keys())),
    )


def _compare(truth: Path, prediction: Path, palette: Palette) -> dict[str, ClassScores]:
    shape = _shape(prediction) or _shape(truth)
    if shape is None:
        raise BadInput(
            "Both are drawings (GeoJSON), which have no size of their own.",
            remedy="Give one of them as a label image (PNG or TIFF).",
        )
    predicted: NDArray[np.uint8] = read_labels(prediction, shape=shape, palette=palette)
    true: NDArray[np.uint8] = read_labels(truth, shape=shape, palette=palette)
    return agreement(true, predicted, len(palette.classes)).scores(palette.names)


def _objects(score: ClassScores) -> list[str]:
    """F1 and AP at each IoU threshold."""
    by_iou = {entry.iou: entry for entry in score.objects}
    told: list[str] = []
    for iou in _IOUS:
        entry = by_iou.get(iou)
        told += ["–", "–"] if entry is None else [number(entry.f1), number(entry.ap)]
    return told


def _shape(path: Path) -> tuple[int, int] | None:
    """Height and width in a PNG's or TIFF's header; None where the file is neither: its reader says what it is."""
    with path.open("rb") as file:
        head = file.read(_PNG.size)
    if len(head) == _PNG.size and head.startswith(_PNG_SIGNATURE):
        _, width, height = _PNG.unpack(head)
        return height, width
    try:
        with tifffile.TiffFile(path) as tiff:
            height, width = tiff.pages.first.shape[:2]
            return height, width
    except (tifffile.TiffFileError, ValueError):
        return None


def _label_folder(folder: Path) -> Path:
    """The folder of the label images in a result bundle; `folder` itself if it is none."""
    return folder / "masks" if (folder / "MANIFEST.sha256").is_file() and (folder / "masks").is_dir() else folder


def _first(files: dict[str, Path]) -> str:
    return ", ".join(path.name for path in list(files.values())[:2]) or "no label file"
