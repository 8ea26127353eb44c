"""The record of a run, `job.json`: what was asked, on what machine it ran, and how each step went."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from axonlab_core.contract.base import UtcTime, utc_now
from axonlab_core.contract.errors import AxonlabError
from axonlab_core.contract.events import RunnerEvent, StepEvent, WarningEvent
from axonlab_core.contract.jobs import JobSpec
from axonlab_core.contract.kinds import Capabilities
from axonlab_core.contract.runs import Claim
from axonlab_core.contract.tickets import FileBlob

logger = logging.getLogger(__name__)

_SOFTWARE = ("axonlab", "torch", "numpy", "scikit-image", "tifffile", "safetensors", "papermill", "ipykernel")


class Step(BaseModel):
    """One step of the lifecycle."""

    model_config = ConfigDict(extra="forbid")

    name: str
    started_at: UtcTime
    status: Literal["started", "done", "failed"] = "started"
    duration_s: float | None = None
    message: str = ""


class RunRecord(BaseModel):
    """What is written to `job.json`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    job_id: str
    attempt: int
    spec: JobSpec
    machine: Capabilities | None = None
    """As measured when the run began."""
    software: dict[str, str]
    started_at: UtcTime
    inputs: list[FileBlob] = []
    resumed_from: str | None = None
    """Name of the checkpoint that the run went on from."""
    peak_memory_bytes: int = 0
    outcome: str = ""
    warnings: list[str] = []
    steps: list[Step] = []


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            logger.debug("%s is not installed here", name)
    return found


class Logbook:
    """Writes the record as the run goes on, and reports each step."""

    def __init__(self, claim: Claim, report: Callable[[RunnerEvent], None]) -> None:
        self._report = report
        self.record = RunRecord(
            job_id=claim.job_id,
            attempt=claim.attempt,
            spec=claim.spec,
            software=_software(),
            started_at=utc_now(),
        )

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A block that is one step of the lifecycle."""
        step = Step(name=name, started_at=utc_now())
        self.record.steps.append(step)
        begun = time.monotonic()
        self._report(StepEvent(name=name, status="started"))
        logger.info("run %s/%d: %s", self.record.job_id, self.record.attempt, name)
        try:
            yield
        except BaseException as error:
            step.status = "failed"
            step.message = str(error) if isinstance(error, AxonlabError) else type(error).__name__
            raise
        else:
            step.status = "done"
        finally:
            step.duration_s = round(time.monotonic() - begun, 3)
            self._report(
                StepEvent(name=name, status=step.status, duration_s=step.duration_s, message=step.message[:2000])
            )

    def begin(self, name: str) -> None:
        """Note the start of a step that ends after the record has been closed."""
        self.record.steps.append(Step(name=name, started_at=utc_now()))

    def warn(self, message: str) -> None:
        """Tell the owner something."""
        self.record.warnings.append(message)
        self._report(WarningEvent(message=message[:2000]))

    def write(self, path: Path) -> None:
        """Write the record beside, then rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}")
        beside.write_text(self.record.model_dump_json(indent=2) + "\n")
        beside.replace(path)
