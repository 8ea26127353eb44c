"""What an operator's machine has: looked at only where the hub's or the runner's part is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from axonlab.doctor import Check
from axonlab_core.contract.kinds import REQUIREMENTS, Device, Kind

_TIMEOUT_S = 20
_GIB = 2**30
_MIB = 2**20
_OLDEST_NODE = 18
_OLDEST_TORCH = (2, 4)


def check_machine(folder: Path) -> Iterator[Check]:
    """Node and the hub's proxy; GPU, disk and torch; each where this machine has a part that needs it."""
    hub, runner = find_spec("sqlalchemy") is not None, find_spec("papermill") is not None
    if hub:
        yield _node()
        yield _proxy()
    if runner:
        gpu = _gpu()
        yield gpu
        yield _disk(folder, "cuda" if gpu.status == "ok" else "cpu")
        yield _torch(needs_cuda=gpu.status == "ok")
    if not hub and not runner:
        yield Check(name="machine", status="skipped", said="Neither the hub's nor the runner's part is installed here.")


def _program(name: str) -> str | None:
    """Where a program is: beside this Python, or on the path."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _said_by(command: list[str]) -> str | None:
    """The first line that a program prints; None if it does not do so as it should."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip()


def _node() -> Check:
    remedy = f"Install Node.js {_OLDEST_NODE} or newer; the hub's proxy runs on it. On Debian: apt install nodejs npm."
    path = _program("node")
    if path is None:
        return Check(name="node", status="failed", said="There is no program node.", remedy=remedy)
    found = _said_by([path, "--version"])
    if found is None or (_numbers(found) or (0,))[0] < _OLDEST_NODE:
        return Check(name="node", status="failed", said=f"{path} is {found or 'not working'}.", remedy=remedy)
    return Check(name="node", status="ok", said=found)


def _proxy() -> Check:
    path = _program("configurable-http-proxy")
    if path is None:
        return Check(
            name="proxy",
            status="failed",
            said="There is no program configurable-http-proxy.",
            remedy="npm install --global configurable-http-proxy, or run tools/setup.sh of the repository.",
        )
    return Check(name="proxy", status="ok", said=path)


def _gpu() -> Check:
    if shutil.which("nvidia-smi") is None:
        return Check(name="GPU", status="note", said="No nvidia-smi: a runner here works on the CPU, preset tiny.")
    found = _said_by(["nvidia-smi", "--query-gpu=name,memory.free", "--format=csv,noheader,nounits"])
    cards = [line.rsplit(",", 1) for line in (found or "").splitlines() if "," in line]
    free = [int(mib) * _MIB for _, mib in cards if mib.strip().isdigit()]
    if not free:
        return Check(
            name="GPU",
            status="failed",
            said="nvidia-smi is there and names no GPU.",
            remedy="Restart the driver or the machine, or start the runner with --device cpu.",
        )
    needed = REQUIREMENTS[Kind.train]["cuda"].gpu_memory_bytes
    said = "; ".join(f"{name.strip()}, {int(mib) * _MIB / _GIB:.1f} GiB free" for name, mib in cards)
    if max(free) < needed:
        return Check(
            name="GPU",
            status="note",
            said=f"{said}. A training needs {needed / _GIB:.0f} GiB.",
            remedy="End what else uses the GPU, or let this machine take --kind infer only.",
        )
    return Check(name="GPU", status="ok", said=said)


def _disk(folder: Path, device: Device) -> Check:
    free, needed = shutil.disk_usage(folder).free, REQUIREMENTS[Kind.train][device].disk_bytes
    said = f"{free / _GIB:.1f} GiB free in {folder}; a training on {device} needs {needed / _GIB:.1f} GiB."
    if free < needed:
        return Check(
            name="disk",
            status="failed",
            said=said,
            remedy="Free some, or start the runner with --work-dir on another disk.",
        )
    return Check(name="disk", status="ok", said=said)


def _torch(*, needs_cuda: bool) -> Check:
    remedy = "pip install 'axonlab[learning]', with the index of torch that fits the machine."
    try:
        found = version("torch")
    except PackageNotFoundError:
        return Check(name="torch", status="failed", said="torch is not installed: no job can run.", remedy=remedy)
    if _numbers(found)[:2] < _OLDEST_TORCH:
        return Check(name="torch", status="failed", said=f"torch {found} is too old.", remedy=remedy)
    if needs_cuda and "+cpu" in found:
        said = f"torch {found} cannot use the GPU: it was built for CPUs."
        return Check(name="torch", status="failed", said=said, remedy=remedy)
    return Check(name="torch", status="ok", said=found)


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", text))
