"""What the container, a control group of version 1 or 2, leaves to this process.

A limit may stand at any level from the process's own group up to where the hierarchy is mounted; the tightest
counts. Outside containers there are usually none.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

_PROC = Path("/proc")
_NO_LIMIT_BYTES = 2**60
"""Version 1 says "no limit" with a number close to 2^63."""


class _Group(NamedTuple):
    """Files of one group at one level."""

    version: int
    folder: Path


def memory_left_bytes(proc: Path = _PROC) -> int | None:
    """Memory that this process and its children may still use before a limit is reached; None without a limit.

    Cached file pages that nobody has used lately count as free: they go first when memory runs short.
    """
    left: list[int] = []
    for version, folder in _groups("memory", proc):
        limit_name, used_name, cache_name = (
            ("memory.max", "memory.current", "inactive_file")
            if version == 2  # noqa: PLR2004 (version 2)
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        limit, used = _number(folder / limit_name), _number(folder / used_name)
        if limit is None or used is None or limit >= _NO_LIMIT_BYTES:
            continue
        left.append(max(0, limit - used + _entries(folder / "memory.stat").get(cache_name, 0)))
    return min(left, default=None)


def cores_allowed(proc: Path = _PROC) -> float | None:
    """Cores' worth of time that this process and its children may use; None without a limit."""
    allowed: list[float] = []
    for version, folder in _groups("cpu", proc):
        if version == 2:  # noqa: PLR2004 (version 2)
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):  # "max" and "-1" are no limit
            allowed.append(int(quota) / int(period))
    return min(allowed, default=None)


def memory_kills(proc: Path = _PROC) -> int | None:
    """How many processes of this group the kernel has ended so far because memory ran out.

    Where the group does not count them, those of the whole machine; None where nobody does.
    """
    for version, folder in _groups("memory", proc):
        name = "memory.events" if version == 2 else "memory.oom_control"  # noqa: PLR2004 (version 2)
        count = _entries(folder / name).get("oom_kill")
        if count is not None:
            return count
    return _entries(proc / "vmstat").get("oom_kill")


def _groups(controller: str, proc: Path) -> list[_Group]:
    """The groups of this process for a controller, from its own up to the mounted one."""
    paths = {names: path for names, path in _memberships(proc) if names == "" or controller in names.split(",")}
    found: list[_Group] = []
    for line in _text(proc / "self" / "mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.partition(" ")
        _, _, _, root, mounted, *_ = fields.split()
        if kind == "cgroup2" and "" in paths:
            found += _levels(2, mounted, root, paths[""])
        elif kind == "cgroup" and controller in options.split(" ")[-1].split(","):
            found += next((_levels(1, mounted, root, path) for names, path in paths.items() if names), [])
    return found


def _memberships(proc: Path) -> list[tuple[str, str]]:
    """Controllers (empty: version 2) and path of each group that this process is in."""
    rows = (line.split(":", 2) for line in _text(proc / "self" / "cgroup").splitlines())
    return [(row[1], row[2]) for row in rows if len(row) == 3]  # noqa: PLR2004 (number, controllers, path)


def _levels(version: int, mounted: str, root: str, path: str) -> list[_Group]:
    """The folder of the group at `path`, and those above it, of a hierarchy whose group `root` is at `mounted`."""
    top = Path(mounted.replace("\\040", " "))
    try:
        below = Path(path).relative_to(root)
    except ValueError:
        below = Path()  # seen from inside another namespace: what is mounted is all that there is
    folder = top / below
    levels = [folder, *folder.parents]
    return [_Group(version, level) for level in levels[: levels.index(top) + 1] if level.is_dir()]


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        logger.debug("%s cannot be read: %s", file, error)
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdigit() else None


def _entries(file: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    rows = (line.split() for line in _text(file).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}  # noqa: PLR2004 (name, number)
