"""Which images and labels are meant: from folders, patterns, lists and dictionaries to pairs with a name."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.base import NAME_RULE, check_image_name
from axonlab_core.contract.errors import BadInput

IMAGE_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"})
LABEL_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".geojson", ".json"})
_MOST_SHOWN = 20

Given = Path | NDArray[Any]
Images = str | Path | NDArray[Any] | Iterable[str | Path] | Mapping[str, str | Path | NDArray[Any]]
Labels = str | Path | NDArray[Any] | Mapping[str, str | Path | NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """One image and its labels, not read yet."""

    name: str
    image: Given
    labels: Given | None


def stem(path: Path) -> str:
    """The image's name in a file's name: `rat1` of `rat1.png`, `rat1.ome.tif` and `rat1.labels.ome.tif`."""
    name = path.stem
    for inner in (".ome", ".labels"):
        if name.lower().endswith(inner) and len(name) > len(inner):
            name = name[: -len(inner)]
    return name


def find_sources(images: Images, labels: Labels | None) -> list[Source]:
    """Every image with its labels, by name.

    Raises
    ------
    BadInput
        If there is no image, or names are bad or used twice, or labels belong to nothing; all faults at once.
    """
    found = find_images(images)
    problems = _name_problems(found)
    by_name: Mapping[str, Given] = {} if labels is None else find_labels(labels, names=[name for name, _ in found])
    if labels is not None and not {name for name, _ in found} & by_name.keys():
        some = ", ".join(sorted(by_name)[:3]) or "no label file at all"
        problems.append(
            BadInput(
                f"No label file belongs to any of the {len(found)} images (labels: {some}; images: {found[0][0]}, …).",
                remedy="Call each label file like its image, for instance images/rat1.tif and labels/rat1.png.",
            )
        )
    report(problems, of=len(found), what="images")
    return [Source(name, image, by_name.get(name)) for name, image in found]


def find_images(images: Images) -> list[tuple[str, Given]]:
    """Name and origin of every image, by name."""
    if isinstance(images, np.ndarray):
        return [("image", images)]
    if isinstance(images, Mapping):
        found = [(str(name), _given(image)) for name, image in images.items()]
    else:
        entries = [images] if isinstance(images, (str, Path)) else list(images)
        paths = [path for entry in entries for path in _expand(entry)]
        found = [(stem(path), path) for path in dict.fromkeys(paths)]
    if not found:
        raise BadInput(
            "There is no image in what was given.", remedy="Give a folder, files, or a dictionary of arrays."
        )
    return sorted(found, key=lambda pair: pair[0])


def find_labels(labels: Labels, *, names: list[str]) -> Mapping[str, Given]:
    """Origin of the labels by image name."""
    if isinstance(labels, Mapping):
        strangers = [str(name) for name in labels if name not in names]
        if strangers:
            raise BadInput(
                f"There are labels for {strangers[0]!r}, and no image is called so.",
                remedy=f"Use the images' names: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}.",  # noqa: PLR2004 (so many fit a line)
            )
        return {str(name): _given(given) for name, given in labels.items()}
    if isinstance(labels, np.ndarray) or Path(labels).expanduser().is_file():
        if len(names) != 1:
            raise BadInput(
                f"There is one label image for {len(names)} images.",
                remedy="Give a folder of label files called like the images, or a dictionary by image name.",
            )
        return {names[0]: _given(labels)}
    return label_files(Path(labels).expanduser(), names=names)


def label_files(folder: Path, *, names: Iterable[str] | None = None) -> dict[str, Path]:
    """The label files of a folder by image name; `names` says which ones matter.

    Raises
    ------
    BadInput
        If there is no such folder, or two files in it are labels of the same image.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder.", remedy="Check the path of the label files.")
    wanted = None if names is None else set(names)
    by_name: dict[str, list[Path]] = {}
    for path in _files_of(folder, LABEL_SUFFIXES):
        if wanted is None or stem(path) in wanted:
            by_name.setdefault(stem(path), []).append(path)
    problems = [
        BadInput(
            f"{name}: there are {len(paths)} label files ({', '.join(path.name for path in paths)}).",
            remedy="Keep one of them in this folder.",
        )
        for name, paths in by_name.items()
        if len(paths) > 1
    ]
    report(problems, of=len(by_name), what="images' labels")
    return {name: paths[0] for name, paths in by_name.items()}


def report(problems: list[BadInput], *, of: int, what: str) -> None:
    """Raise all problems as one; nothing happens where there are none.

    Raises
    ------
    BadInput
        The problem itself if it is alone, otherwise one error that lists up to 20 of them.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = [f"  - {problem}" for problem in problems[:_MOST_SHOWN]]
        if len(problems) > _MOST_SHOWN:
            lines.append(f"  … and {len(problems) - _MOST_SHOWN} more")
        raise BadInput(
            "\n".join([f"{len(problems)} problems in {of} {what}; nothing was uploaded.", *lines, ""]),
            remedy="Mend these, or leave those files out.",
        )


def _expand(entry: str | Path) -> list[Path]:
    path = Path(entry).expanduser()
    if path.is_dir():
        inside = _files_of(path, IMAGE_SUFFIXES)
        if not inside:
            raise BadInput(
                f"The folder {path} holds no image.", remedy=f"Images end with {', '.join(sorted(IMAGE_SUFFIXES))}."
            )
        return inside
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 (absolute patterns)
        files = [match for match in matches if match.is_file() and match.suffix.lower() in IMAGE_SUFFIXES]
        if files:
            return files
        raise BadInput(f"No image matches {entry}.", remedy="Check the pattern, for instance images/*.tif.")
    raise BadInput(f"There is no file or folder {path}.", remedy="Check the path; it starts at the folder you are in.")


def _files_of(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


def _given(value: str | Path | NDArray[Any]) -> Given:
    return Path(value).expanduser() if isinstance(value, (str, Path)) else value


def _name_problems(found: list[tuple[str, Given]]) -> list[BadInput]:
    problems: list[BadInput] = []
    origins: dict[str, list[str]] = {}
    for name, origin in found:
        origins.setdefault(name.casefold(), []).append(str(origin) if isinstance(origin, Path) else repr(name))
        try:
            check_image_name(name)
        except ValueError as error:
            problems.append(BadInput(f"{error}.", remedy=f"Rename it. {NAME_RULE}"))
    problems += [
        BadInput(
            f"{len(places)} images have the name {name!r}: {', '.join(places)}.",
            remedy="Rename all but one (capital letters make no difference): results are filed under these names.",
        )
        for name, places in origins.items()
        if len(places) > 1
    ]
    return problems
