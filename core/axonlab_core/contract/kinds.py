"""Kinds of job, and what a machine must have to take one.

The figures for the GPU are the original platform's ("16 GB" and "8 GB" cards; a T4 reports 14.6 to 14.8 GiB).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from axonlab_core.contract.base import Value

_GIB = 2**30
_GB = 10**9


class Kind(StrEnum):
    """What a job does."""

    train = "train"
    infer = "infer"
    # `prepare` and `grade` join when their specs do.


Device = Literal["cpu", "cuda"]


class Requirements(Value):
    """The least that a machine must have free."""

    gpu_memory_bytes: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0


REQUIREMENTS: dict[Kind, dict[Device, Requirements]] = {
    Kind.train: {
        # 32 GB and 16 GB machines report a little less than they are sold with.
        "cuda": Requirements(gpu_memory_bytes=14 * _GIB, memory_bytes=30 * _GB, disk_bytes=100 * _GB),
        "cpu": Requirements(memory_bytes=4 * _GB, disk_bytes=2 * _GB),
    },
    Kind.infer: {
        "cuda": Requirements(gpu_memory_bytes=7 * _GIB, memory_bytes=15 * _GB, disk_bytes=50 * _GB),
        "cpu": Requirements(memory_bytes=4 * _GB, disk_bytes=2 * _GB),
    },
}

NOTEBOOKS: dict[Kind, str] = {Kind.train: "train.ipynb", Kind.infer: "infer.ipynb"}
"""The job notebook of each kind, in `axonlab_notebooks`."""


class Capabilities(Value):
    """What a runner says of itself when it asks for work."""

    name: str = Field(min_length=1, max_length=100)
    kinds: tuple[Kind, ...] = Field(min_length=1)
    device: Device
    gpu: str = ""
    gpu_memory_bytes: int = Field(default=0, ge=0)
    memory_bytes: int = Field(ge=0)
    disk_bytes: int = Field(ge=0)
    cores: int = Field(ge=1)
    version: str = ""


def shortfalls(kind: Kind, machine: Capabilities) -> tuple[str, ...]:
    """What `machine` lacks for a job of that kind, one sentence each with both numbers; empty if it will do."""
    needs = REQUIREMENTS[kind][machine.device]
    rows = (
        ("GPU memory", machine.gpu_memory_bytes, needs.gpu_memory_bytes),
        ("memory", machine.memory_bytes, needs.memory_bytes),
        ("free disk", machine.disk_bytes, needs.disk_bytes),
    )
    short = [
        f"{what}: {has / _GIB:.1f} GiB, and a {kind} job on {machine.device} needs {needed / _GIB:.1f} GiB"
        for what, has, needed in rows
        if has < needed
    ]
    if kind not in machine.kinds:
        short.insert(0, f"it takes {', '.join(machine.kinds)} jobs only")
    return tuple(short)
