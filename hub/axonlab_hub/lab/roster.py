"""Who is in the course, from a CSV file that an instructor keeps."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from axonlab_core.contract.errors import BadInput
from axonlab_hub.groups import staff_group, student_group

Role = Literal["student", "instructor"]

# A name becomes a folder and, behind a prefix, a system user: Linux allows 32 characters.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_RULE = "use 1 to 24 of a–z, 0–9, _ and -, beginning with a letter or digit"
_NAME_COLUMNS = ("id", "username", "name")
_ROLES: dict[str, Role] = {"": "student", "student": "student", "instructor": "instructor", "staff": "instructor"}
# Names that sites give to accounts of their own, or that the lab server uses itself.
_RESERVED = frozenset({"root", "admin", "service", "runner", "proxy", "hub", "axonlab", "axonlab-runner"})
_MAX_BYTES = 2**20
_REMEDY = "The first line names the columns: id, and if you like role (student or instructor)."


@dataclass(frozen=True)
class Roster:
    """The people of a course: what each is, by name."""

    roles: dict[str, Role]

    def groups(self, name: str, course: str) -> list[str]:
        """The hub groups of that person; nobody else has any."""
        if name not in self.roles:
            return []
        return [staff_group(course) if self.roles[name] == "instructor" else student_group(course)]


def read_roster(path: Path) -> Roster:
    """The roster in a CSV file with a column `id` (or `username`) and perhaps `role`; other columns are ignored.

    Such a file is what nbgrader imports students from, and what a spreadsheet saves: comma, semicolon or tab, with or
    without a byte order mark.

    Raises
    ------
    BadInput
        If it cannot be read or says something that makes no sense; names the line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInput(f"{path} is no roster: it has more than a megabyte.", remedy=_REMEDY)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"The roster {path} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"The roster {path} is not UTF-8 text.", remedy="Save it as CSV with UTF-8.") from error
    return Roster(_people(path, text))


def _people(path: Path, text: str) -> dict[str, Role]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    column = next((columns[name] for name in _NAME_COLUMNS if name in columns), None)
    if column is None:
        raise BadInput(f"{path} has no column `id`.", remedy=_REMEDY)
    people: dict[str, Role] = {}
    try:
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if not any(isinstance(value, str) and value.strip() for value in row.values()):
                continue
            name = _name(where, (row[column] or "").strip().lower())
            if name in people:
                raise BadInput(f"{where}: {name} stands there twice.", remedy="Remove one of the two lines.")
            role = row[columns["role"]] if "role" in columns else ""
            people[name] = _role(where, (role or "").strip().lower())
    except csv.Error as error:
        raise BadInput(f"{path}, line {rows.line_num}: {error}.", remedy="Save it again as CSV.") from error
    if not people:
        raise BadInput(f"Nobody is in {path}.", remedy="Add a line for each person.")
    return people


def _name(where: str, name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadInput(f"{where}: {name[:60]!r} cannot be a name to log in with.", remedy=f"For names, {_RULE}.")
    if name in _RESERVED:
        raise BadInput(f"{where}: the name {name} is taken by the machine.", remedy="Choose another name.")
    return name


def _role(where: str, role: str) -> Role:
    if role not in _ROLES:
        raise BadInput(f"{where}: there is no role {role[:60]!r}.", remedy="Write student or instructor.")
    return _ROLES[role]
