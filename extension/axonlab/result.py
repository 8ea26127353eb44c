"""A result bundle on this machine: model, label images, overlays, numbers, lab report."""

from __future__ import annotations

import html
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonlab.comparison import Comparison, html_table
from axonlab_core.backends.model_header import read_card
from axonlab_core.backends.transfer import describe
from axonlab_core.contract.errors import BadInput, NotFound, PlatformError, UserError
from axonlab_core.contract.keys import check_relative_path
from axonlab_core.contract.model_card import ModelCard
from axonlab_core.imaging.label_tiff import read_label_tiff

MANIFEST = "MANIFEST.sha256"
REPORT = "executed.ipynb"
QUALITY_REPORT = "qc/report.html"
_LABELS = ".labels.ome.tif"
_OVERLAY = ".overlay.png"
_SCOPES = {
    "other-group": "validation images of other animals (groups)",
    "other-image": "other images of the same animals (groups)",
    "same-image": "other parts of the training images, which says little about new images",
}
_METRICS = ("model/metrics.json", "metrics.json")


class Result:
    """The files of one finished job, in one folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / MANIFEST).is_file():
            raise NotFound(
                f"{self.folder} holds no result bundle (there is no {MANIFEST} in it).",
                remedy="Give the folder that job.result().save(...) or axonlab train --out wrote.",
            )

    @property
    def model(self) -> Path:
        """The trained model, a SafeTensors file; of a training only."""
        return self._file("model/model.safetensors", "It is no result of a training.")

    @cached_property
    def card(self) -> ModelCard:
        """What one must know of the trained model; of a training only."""
        return read_card(self.model)

    @property
    def report(self) -> Path:
        """The lab report: the job's notebook as it was executed."""
        return self._file(REPORT, "")

    @property
    def quality_report(self) -> Path:
        """One page (HTML) on how good the result is, with pictures, and what to annotate next."""
        return self._file(QUALITY_REPORT, "It was made by an older version.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images that were segmented; none for a training."""
        return tuple(sorted(path.name.removesuffix(_LABELS) for path in (self.folder / "masks").glob(f"*{_LABELS}")))

    def labels(self, name: str | None = None) -> NDArray[np.uint8]:
        """`(H, W)` uint8 label image of the image called `name`, which may be left out where there is one only."""
        return read_label_tiff(self.folder / "masks" / f"{self._name(name)}{_LABELS}")

    def overlay(self, name: str | None = None) -> Path:
        """The PNG of the label image over its image."""
        return self._file(f"overlays/{self._name(name)}{_OVERLAY}", "")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The numbers: validation scores of a training; scores of a segmentation whose images had labels.

        Raises
        ------
        NotFound
            If nothing could be measured, since there were no labels.
        """
        for path in _METRICS:
            if (self.folder / path).is_file():
                return json.loads((self.folder / path).read_text(encoding="utf-8"))
        raise NotFound(
            "Nothing was measured: the images had no labels.",
            remedy="Give labels= to axonlab.segment, or compare with axonlab.evaluate.",
        )

    def summary(self) -> dict[str, Any]:
        """Where what is, and the numbers if anything was measured; for the command line."""
        found: dict[str, Any] = {"result": str(self.folder), "report": str(self.report)}
        if (self.folder / QUALITY_REPORT).is_file():
            found["quality"] = str(self.quality_report)
        if self.names:
            found["labels"] = [str(self.folder / "masks" / f"{name}{_LABELS}") for name in self.names]
            found["overlays"] = [str(self.overlay(name)) for name in self.names]
        else:
            found["model"] = str(self.model)
            found["scores"] = self.scores.model_dump(mode="json")
        return found

    @cached_property
    def scores(self) -> Comparison:
        """The model's scores by class beside Otsu's: on validation images, or on the segmented images with labels.

        Raises
        ------
        NotFound
            If nothing could be measured, since there were no labels.
        """
        if not self.names:
            scores, names = self.card.scores, self.card.palette.names
            by_class = {name: scores.model[name] for name in names if name in scores.model}
            return Comparison(measured_on=_SCOPES[scores.scope], model=by_class, otsu=scores.otsu)
        images = ", ".join(self.metrics["images"])
        return Comparison.model_validate(
            {"measured_on": images, "model": self.metrics["mean"], "otsu": self.metrics["otsu"]["mean"]}
        )

    def verify(self) -> tuple[str, ...]:
        """Paths of the files that are missing or are not what the job wrote; empty if all is well."""
        return tuple(
            path
            for path, sha256 in read_sums(self.folder / MANIFEST).items()
            if not (self.folder / path).is_file() or describe(self.folder / path).sha256 != sha256
        )

    def save(self, folder: str | Path) -> Result:
        """The same result, copied into a new folder of yours.

        Raises
        ------
        UserError
            If there is something in that folder already.
        """

        def fill(beside: Path) -> Path:
            shutil.copytree(self.folder, beside, copy_function=shutil.copyfile, dirs_exist_ok=True)
            return beside

        return Result(write_folder(Path(folder).expanduser(), fill))

    def __repr__(self) -> str:
        if self.names:
            return f"Result in {self.folder}: {len(self.names)} segmented ({', '.join(self.names[:5])})"
        return f"Result in {self.folder}: a model for {', '.join(self.card.palette.names)}"

    def _repr_html_(self) -> str:
        """What there is, how one gets at it in Python, and where it is."""
        rows = (
            [
                ("label images", "result.labels(name)", ", ".join(self.names)),
                ("overlays", "axonlab.show_overlay(result)", "overlays/"),
            ]
            if self.names
            else [
                ("model", "result.model", f"for {', '.join(self.card.palette.names)}"),
                ("scores", "result.scores", "model/metrics.json"),
            ]
        )
        table = html_table(("what", "in Python", "which"), [*rows, ("lab report", "result.report", REPORT)])
        folder = html.escape(str(self.folder))
        return f'{table}<p>All files: <code>{folder}</code>; <code>result.save("my_result")</code> copies them.</p>'

    def _name(self, name: str | None) -> str:
        names = self.names
        if not names:
            raise NotFound("This result holds no segmented images.", remedy="Use a model with axonlab.segment(...).")
        if name is None and len(names) == 1:
            return names[0]
        if name not in names:
            asked = "Which image?" if name is None else f"There is no image {name!r} in this result."
            raise BadInput(asked, remedy=f"The images are {', '.join(names)}.")
        return name

    def _file(self, path: str, why: str) -> Path:
        file = self.folder / path
        if not file.is_file():
            raise NotFound(f"There is no {path} in {self.folder}.", remedy=why)
        return file


def read_sums(path: Path) -> dict[str, str]:
    """Hash of each file of a bundle, by path, from its `MANIFEST.sha256`.

    Raises
    ------
    PlatformError
        If the file is not in the format of sha256sum, or names a file outside the bundle.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        sha256, _, name = line.partition("  ")
        try:
            sums[check_relative_path(name)] = sha256
        except ValueError as error:
            raise PlatformError(f"{path.name}, line {number} cannot be read: {error}.") from error
    return sums


def check_free(folder: Path) -> None:
    """Pass if `folder` is new or empty.

    Raises
    ------
    UserError
        If it is neither: nothing of yours is overwritten.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"The folder {folder} is not empty.", remedy="Name a new folder, or move its files away first.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file.", remedy="Name a new folder.")


def write_folder(folder: Path, fill: Callable[[Path], Path]) -> Path:
    """`folder`, once `fill` has filled another one beside it; it is renamed when it is whole.

    Parameters
    ----------
    fill : callable
        Gets a new, empty folder; returns the folder to be renamed, which is that one or one inside it.

    Raises
    ------
    UserError
        If `folder` is not empty or cannot be written.
    """
    folder = folder.absolute()
    check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}).", remedy="Choose a folder that you may write to."
        ) from error
    try:
        filled = fill(beside)
        filled.chmod(0o755)
        if folder.is_dir():
            folder.rmdir()
        filled.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
