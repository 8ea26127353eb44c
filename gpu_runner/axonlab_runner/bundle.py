"""The result bundle: is it what the job was to bring, and what is in it."""

from __future__ import annotations

from pathlib import Path

from axonlab_core.backends.model_header import read_card
from axonlab_core.backends.transfer import describe
from axonlab_core.contract.dataset import DatasetManifest
from axonlab_core.contract.errors import BadInput, PlatformError
from axonlab_core.contract.jobs import JobSpec, TrainSpec
from axonlab_core.contract.tickets import FileBlob
from axonlab_core.imaging.label_tiff import read_label_tiff

MANIFEST = "MANIFEST.sha256"
RECORD = "job.json"
REPORT = "executed.ipynb"
MODEL = "model/model.safetensors"


def verify(spec: JobSpec, manifest: DatasetManifest, results: Path) -> None:
    """Pass if the bundle holds what a job of that kind has to bring, readable and of the right size.

    Raises
    ------
    PlatformError
        Naming what is missing or wrong: the job notebook said that it was done.
    """
    faults = _model_faults(spec, results) if isinstance(spec, TrainSpec) else _mask_faults(manifest, results)
    if not (results / REPORT).is_file():
        faults.append(f"{REPORT} is missing")
    if faults:
        raise PlatformError(f"The result is not what was asked for: {'; '.join(faults[:10])}.")


def _model_faults(spec: TrainSpec, results: Path) -> list[str]:
    model = results / MODEL
    if not model.is_file():
        return [f"{MODEL} is missing"]
    try:
        card = read_card(model)
    except BadInput as error:
        return [error.message]
    wrong = [
        f"the model's card names {what} {has}, asked for was {asked}"
        for what, has, asked in (("data set", card.dataset, spec.dataset), ("preset", card.preset, spec.preset))
        if has != asked
    ]
    return wrong + [f"{name} is missing" for name in ("model/metrics.json",) if not (results / name).is_file()]


def _mask_faults(manifest: DatasetManifest, results: Path) -> list[str]:
    faults: list[str] = []
    for image in manifest.images:
        name = f"masks/{image.name}.labels.ome.tif"
        if not (results / name).is_file():
            faults.append(f"{name} is missing")
            continue
        shape = read_label_tiff(results / name).shape
        if shape != (image.height_px, image.width_px):
            faults.append(f"{name} is {shape[1]} × {shape[0]} px, its image {image.width_px} × {image.height_px}")
    return faults


def list_files(results: Path) -> list[FileBlob]:
    """Every file of the bundle with its hash, in order of its path."""
    found = sorted(
        path
        for path in results.rglob("*")
        # A link could lead anywhere on this machine.
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    )
    return [FileBlob(path=path.relative_to(results).as_posix(), **describe(path).model_dump()) for path in found]


def write_manifest(results: Path, files: list[FileBlob]) -> FileBlob:
    """`MANIFEST.sha256`, in the format that `sha256sum --check` reads."""
    path = results / MANIFEST
    beside = path.with_name(f".{MANIFEST}")
    beside.write_text("".join(f"{file.sha256}  {file.path}\n" for file in files))
    beside.replace(path)
    return FileBlob(path=MANIFEST, **describe(path).model_dump())
