"""What this machine has, and whether that is enough for a job, found out without importing torch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import psutil

from axonlab_core import __version__
from axonlab_core.contract.errors import PlatformError, Unfit
from axonlab_core.contract.kinds import Capabilities, Device, Kind, shortfalls
from axonlab_runner.cgroup import cores_allowed, memory_left_bytes

_MIB = 2**20
_QUERY_TIMEOUT_S = 20


def _gpu() -> tuple[str, int] | None:
    """Name and free memory in bytes of the GPU with the most free memory; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_QUERY_TIMEOUT_S,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise PlatformError(
            f"nvidia-smi does not answer as it should ({error}).", remedy="Restart the driver or the node."
        ) from error
    cards = [line.rsplit(",", 1) for line in answer.stdout.splitlines() if "," in line]
    found = [(name.strip(), int(free) * _MIB) for name, free in cards if free.strip().isdigit()]
    return max(found, key=lambda card: card[1], default=None)


def measure(name: str, kinds: tuple[Kind, ...], device: Literal["auto", "cpu", "cuda"], work_dir: Path) -> Capabilities:
    """What this machine, or the container that we are in, offers at this moment.

    Raises
    ------
    Unfit
        If `device` is cuda and there is no GPU.
    """
    card = None if device == "cpu" else _gpu()
    if device == "cuda" and card is None:
        raise Unfit(
            "No GPU was found on this machine.", remedy="Check nvidia-smi, or start the runner with --device cpu."
        )
    chosen: Device = "cuda" if card is not None else "cpu"
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Capabilities(
        name=name,
        kinds=kinds,
        device=chosen,
        gpu=card[0] if card else "",
        gpu_memory_bytes=card[1] if card else 0,
        memory_bytes=free_memory_bytes(),
        disk_bytes=shutil.disk_usage(work_dir).free,
        cores=usable_cores(),
        version=__version__,
    )


def free_memory_bytes() -> int:
    """Memory that a job may use now: what the machine has left, or the container if that is less."""
    left = memory_left_bytes()
    available = psutil.virtual_memory().available
    return available if left is None else min(available, left)


def usable_cores() -> int:
    """Cores that a job may keep busy; at least one. More threads than the container's share only wait for it."""
    cores = len(psutil.Process().cpu_affinity() or [0]) if hasattr(psutil.Process, "cpu_affinity") else 1
    allowed = cores_allowed()
    return cores if allowed is None else max(1, min(cores, int(allowed)))


def check(kind: Kind, machine: Capabilities) -> None:
    """Pass if `machine` has what a job of that kind needs.

    Raises
    ------
    Unfit
        With both numbers of everything that is short.
    """
    short = shortfalls(kind, machine)
    if short:
        raise Unfit(
            f"{machine.name} cannot run this job now: {'; '.join(short)}.",
            remedy="Free memory or disk there, or start a runner on a larger machine.",
        )
