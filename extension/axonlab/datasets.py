"""Data preparation: images and labels become a frozen data set, every fault being told before anything is sent."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import ValidationError

from axonlab.cache import BlobCache
from axonlab.manifest_table import Row, check_pixel_size, read_manifest
from axonlab.preparation import prepare_image
from axonlab.progress import steps_bar
from axonlab.settings import Settings
from axonlab.sources import Images, Labels, find_sources, report
from axonlab_core.contract.dataset import DatasetImage, DatasetManifest, Split
from axonlab_core.contract.errors import BadInput, NotFound
from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.contract.plain_words import in_plain_words

_NOTES_SHOWN = 5


@dataclass(frozen=True)
class Dataset:
    """Images with their labels, checked and in the form in which they travel; nothing has been sent yet."""

    manifest: DatasetManifest
    cache: BlobCache
    """Where the bytes of its blobs are on this machine."""
    labelled_px: Mapping[str, tuple[int, ...]]
    """Labelled pixels of each class, by image."""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What was done to the values of an image's file, by image."""

    @cached_property
    def sha256(self) -> str:
        """The data set's name: the hash of its manifest."""
        return self.manifest.content_sha256()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images."""
        return tuple(image.name for image in self.manifest.images)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.manifest.images)

    def select(self, *names: str, split: str | Sequence[str] | None = None) -> Self:
        """The data set of some of the images: by name, or by what the manifest says they are for.

        Raises
        ------
        BadInput
            If a name is unknown, or nothing is left.
        """
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise BadInput(f"There is no image {unknown[0]!r}.", remedy=f"The images are {', '.join(self.names)}.")
        splits = {split} if isinstance(split, str) else None if split is None else set(split)
        kept = tuple(
            image
            for image in self.manifest.images
            if (not names or image.name in names) and (splits is None or image.split in splits)
        )
        if not kept:
            there = ", ".join(sorted({image.split for image in self.manifest.images}))
            raise BadInput("No image is left by this choice.", remedy=f"The images' splits are: {there}.")
        manifest = self.manifest.model_copy(update={"images": kept})
        labelled = {image.name: self.labelled_px[image.name] for image in kept}
        notes = {image.name: self.notes[image.name] for image in kept if image.name in self.notes}
        return type(self)(manifest, self.cache, labelled, notes)

    def blob_files(self) -> dict[str, Path]:
        """The file of every blob by hash: images, label images, and last the manifest itself.

        Raises
        ------
        NotFound
            If the cache was emptied since the data set was built.
        """
        files = {blob.sha256: self.cache.path(blob.sha256) for blob in self.manifest.blobs()}
        if not all(path.is_file() for path in files.values()):
            raise NotFound(f"The prepared images are gone from {self.cache.root}.", remedy="Build the data set again.")
        listing = self.cache.add(self.manifest.canonical_json())
        return {**files, listing.sha256: self.cache.path(listing.sha256)}

    @property
    def labelled_fraction(self) -> float:
        """Share of all pixels that have a label."""
        pixels = sum(image.width_px * image.height_px for image in self.manifest.images)
        return sum(sum(counts) for counts in self.labelled_px.values()) / pixels

    @property
    def warnings(self) -> tuple[str, ...]:
        """What one should know before training or segmenting, in plain words."""
        images = self.manifest.images
        found = self._noted()
        unsized = [image.name for image in images if image.pixel_size_um is None]
        if unsized:
            found.append(
                f"The pixel size of {len(unsized)} of {len(images)} images is unknown ({_some(unsized)}): they are "
                "taken as they are, and a model works well only on images of the same scale. "
                "Give pixel_size_um= or a manifest."
            )
        if all(image.labels is None for image in images):
            return (*found, "There are no labels: the images can be segmented, but nothing can be learnt from them.")
        totals = np.sum(list(self.labelled_px.values()), axis=0)
        never = [name for name, count in zip(self.manifest.palette.names, totals, strict=True) if count == 0]
        if never:
            found.append(f"No pixel is labelled as {' or '.join(never)}: a model cannot learn to find it.")
        return tuple(found)

    def _noted(self) -> list[str]:
        every = [note for image in self.manifest.images for note in self.notes.get(image.name, ())]
        rest = f"The same was done with {len(every) - _NOTES_SHOWN} more images."
        return every if len(every) <= _NOTES_SHOWN + 1 else [*every[:_NOTES_SHOWN], rest]

    def __repr__(self) -> str:
        facts = [
            f"Dataset of {len(self)} image{'s' if len(self) > 1 else ''}",
            *(f"{key}: {value}" for key, value in self._facts()),
        ]
        return "\n".join(["; ".join(facts), *(f"  Note: {warning}" for warning in self.warnings)])

    def _repr_html_(self) -> str:
        facts = [("images", str(len(self))), *self._facts()]
        rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts)
        notes = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return f"<table>{rows}</table>" + (f"<ul>{notes}</ul>" if notes else "")

    def _facts(self) -> list[tuple[str, str]]:
        images = self.manifest.images
        sizes = sorted({image.pixel_size_um for image in images if image.pixel_size_um is not None})
        groups = sorted({image.group for image in images if image.group})
        splits = [split for split in Split if any(image.split == split for image in images)]
        facts = [
            (
                "with labels",
                f"{sum(image.labels is not None for image in images)} ({self.labelled_fraction:.1%} of pixels)",
            ),
            ("classes", ", ".join(self.manifest.palette.names)),
            ("pixel sizes", ", ".join(f"{size:g} µm" for size in sizes) or "unknown"),
        ]
        if groups:
            facts.append(("groups", f"{len(groups)} ({_some(groups)})"))
        if splits != [Split.auto]:
            facts.append(("split", ", ".join(f"{sum(i.split == s for i in images)} {s}" for s in splits)))
        return facts


def dataset(
    images: Images,
    labels: Labels | None = None,
    *,
    palette: Palette | Sequence[str] = AXON_PALETTE,
    manifest: str | Path | None = None,
    pixel_size_um: float | None = None,
) -> Dataset:
    """The data set of these images, ready to train on or to be segmented; everything stays on this machine.

    Parameters
    ----------
    images : folder, file, pattern, list of these, or dict of name to array
        Arrays are `(H, W)` or `(H, W, 3)`, uint8 or uint16.
    labels : folder, or dict of image name to file or array, optional
        Files are called like their images: integer PNG or TIFF (class index of each pixel, 255 = unknown)
        or GeoJSON. Arrays are `(H, W)` integers.
    palette : sequence of str
        Class names by index, the first being background.
    manifest : path of a CSV file, optional
        Columns `name`, `split` (train, val, test), `animal`, `pixel_size_um`; others do not matter.
    pixel_size_um : float, optional
        Edge of one pixel in µm, for all images; goes before the manifest, and that before the files' own.

    Raises
    ------
    BadInput
        If anything cannot be used: every bad file at once, with what to do about it.
    """
    classes = palette if isinstance(palette, Palette) else palette_from_names(palette)
    if pixel_size_um is not None:
        check_pixel_size(pixel_size_um, "pixel_size_um")
    sources = find_sources(images, labels)
    rows: dict[str, Row] = {}
    problems: list[BadInput] = []
    if manifest is not None:
        rows, problems = read_manifest(Path(manifest).expanduser(), [source.name for source in sources])
    cache = BlobCache(Settings.from_environment().cache_dir.absolute())
    entries: list[DatasetImage] = []
    counts: dict[str, tuple[int, ...]] = {}
    notes: dict[str, tuple[str, ...]] = {}
    with steps_bar("Preparing", len(sources), "images") as bar:
        for source in sources:
            row = rows.get(source.name, Row())
            try:
                prepared = prepare_image(source, row, classes, pixel_size_um, cache)
                entries.append(prepared.entry)
                counts[source.name] = prepared.labelled_px
                if prepared.notes:
                    notes[source.name] = prepared.notes
            except BadInput as problem:
                problems.append(_about(problem, source.name))
            bar.update(1)
    report([*problems, *_mixed_kinds(entries)], of=len(sources), what="images")
    return Dataset(_freeze(classes, entries), cache, counts, notes)


def palette_from_names(names: Sequence[str]) -> Palette:
    """The palette of these class names.

    Raises
    ------
    BadInput
        If there are fewer than two, or one cannot be a class's name.
    """
    try:
        return Palette.from_names([name.strip() for name in names])
    except ValidationError as error:
        raise BadInput(
            f"The palette {','.join(names)[:100]!r} cannot be used. {in_plain_words(error.errors())}",
            remedy="Give two or more different names, the first for background: background,myelin,axon.",
        ) from error


def _mixed_kinds(entries: list[DatasetImage]) -> list[BadInput]:
    grey = [entry.name for entry in entries if entry.channels == 1]
    colour = [entry.name for entry in entries if entry.channels != 1]
    if not grey or not colour:
        return []
    return [
        BadInput(
            f"Grey images ({_some(grey)}) and colour images ({_some(colour)}) cannot be in one data set.",
            remedy="Convert them to one kind, or build two data sets.",
        )
    ]


def _freeze(palette: Palette, entries: list[DatasetImage]) -> DatasetManifest:
    try:
        return DatasetManifest(palette=palette, images=tuple(entries))
    except ValidationError as error:
        raise BadInput(
            f"The data set cannot be built. {in_plain_words(error.errors())}",
            remedy="Split it into smaller data sets.",
        ) from error


def _about(problem: BadInput, name: str) -> BadInput:
    if name in problem.message:
        return problem
    return BadInput(f"{name}: {problem.message}", remedy=problem.remedy)


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
