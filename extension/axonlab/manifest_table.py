"""The optional table about images: split, group (animal) and pixel size by name."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from axonlab_core.contract.dataset import Split
from axonlab_core.contract.errors import BadInput

_GROUP_CHARACTERS = 200
_LARGEST_PIXEL_UM = 10_000.0


@dataclass(frozen=True)
class Row:
    """What the table says of one image."""

    split: Split = Split.auto
    group: str = ""
    pixel_size_um: float | None = None


def read_manifest(path: Path, names: Iterable[str]) -> tuple[dict[str, Row], list[BadInput]]:
    """The rows of the images called `names`, and what is wrong in the table; other rows and columns are left alone.

    Raises
    ------
    BadInput
        If the file cannot be read as a table with a column `name`.
    """
    records = _records(path)
    rows: dict[str, Row] = {}
    seen: dict[str, int] = {}
    problems: list[BadInput] = []
    wanted = list(names)
    for number, record in records:
        name = (record.get("name") or "").strip()
        where = f"{path.name}, row {number}"
        if not name:
            problems.append(BadInput(f"{where}: the name is empty.", remedy="Fill it in or remove the row."))
        elif name in seen:
            problems.append(
                BadInput(f"{where}: {name!r} is in row {seen[name]} already.", remedy="Keep one row for each image.")
            )
        else:
            seen[name] = number
            if name in wanted:
                try:
                    rows[name] = _row(record, where)
                except BadInput as problem:
                    problems.append(problem)
    problems += [
        BadInput(
            f"{path.name}: the image {name!r} has no row (the last row is {records[-1][0] if records else 1}).",
            remedy="Add a row for it, or leave the image out.",
        )
        for name in wanted
        if name not in seen
    ]
    return rows, problems


def _records(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="beyond the header")
            header = [(column or "").strip() for column in reader.fieldnames or ()]
            if "name" not in header:
                raise BadInput(
                    f"{path.name}, row 1: there is no column `name` (columns: {', '.join(header)[:200] or 'none'}).",
                    remedy="Its columns are name, split, animal, pixel_size_um, with commas between them.",
                )
            reader.fieldnames = header
            return [(reader.line_num, record) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            f"The manifest {path} cannot be read ({type(error).__name__}: {error}).",
            remedy="Save it as CSV in UTF-8, comma between the columns.",
        ) from error


def _row(record: dict[str, str | None], where: str) -> Row:
    def cell(column: str) -> str:
        return (record.get(column) or "").strip()

    said = cell("split")
    if said and said not in tuple(Split):
        raise BadInput(
            f"{where}: the split {said!r} is not known.", remedy=f"Write one of {', '.join(Split)}, or nothing."
        )
    group = cell("animal")
    if len(group) > _GROUP_CHARACTERS:
        raise BadInput(f"{where}: the animal's name is longer than {_GROUP_CHARACTERS} letters.", remedy="Shorten it.")
    size = cell("pixel_size_um")
    return Row(
        split=Split(said) if said else Split.auto,
        group=group,
        pixel_size_um=check_pixel_size(size, where) if size else None,
    )


def check_pixel_size(value: str | float, where: str) -> float:
    """Edge of a pixel in µm.

    Raises
    ------
    BadInput
        If it is no positive number of a sensible size.
    """
    try:
        size = float(value)
    except ValueError:
        size = math.nan
    if not 0 < size <= _LARGEST_PIXEL_UM:
        raise BadInput(
            f"{where}: the pixel size {value!r} is not a positive number of µm.",
            remedy="Write the edge of one pixel in µm with a decimal point, for instance 0.18; nothing if unknown.",
        )
    return size
