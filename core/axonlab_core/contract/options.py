"""What may be asked for here, by whom, and what is there to carry it out.

Kinds, devices and presets are plain text in these answers: a newer service may name some that the reader
does not know.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from axonlab_core.contract.base import CourseName, UtcTime, Value
from axonlab_core.contract.kinds import Requirements
from axonlab_core.contract.palette import Palette


class KindOption(Value):
    """A kind of job: what a machine needs for it, by device, and how many there are now."""

    kind: str
    requirements: dict[str, Requirements]
    presets: tuple[str, ...] = ()
    queued: int = Field(default=0, ge=0)
    running: int = Field(default=0, ge=0)


class Limits(Value):
    """The most that is taken."""

    max_minutes: float
    max_steps: int
    max_blob_bytes: int
    max_body_bytes: int
    """Of one request; images and models go through tickets."""
    max_wait_s: float
    """Of one long poll."""
    max_unfinished_jobs: int
    unfinished_jobs: int
    """How many of yours are queued or running now."""
    requests_per_s: float
    request_burst: int


class NamedPalette(Value):
    """A palette and what it is called."""

    name: str
    palette: Palette


class CourseRole(Value):
    """A course of yours, and what you are in it."""

    course: CourseName
    role: Literal["student", "staff"]


class RunnerCount(Value):
    """How many of the runners seen in the last minute can take jobs of a kind, on which device."""

    kind: str
    device: str
    count: int = Field(ge=0)


class RunnerDetails(Value):
    """One runner; shown to staff."""

    name: str
    device: str
    gpu: str = ""
    gpu_memory_bytes: int = 0
    memory_bytes: int
    disk_bytes: int
    cores: int
    kinds: tuple[str, ...]
    version: str = ""
    seen_at: UtcTime


class OptionsAnswer(Value):
    """What may be asked for here."""

    version: str
    """Of the service."""
    kinds: tuple[KindOption, ...]
    limits: Limits
    palettes: tuple[NamedPalette, ...]
    courses: tuple[CourseRole, ...]
    runners: tuple[RunnerCount, ...]
    runner_details: tuple[RunnerDetails, ...] | None = None
    """None for whoever is staff of no course."""
