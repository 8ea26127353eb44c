"""The job notebooks: what a runner executes, one for each kind of job."""

from __future__ import annotations

from pathlib import Path

from axonlab_core.contract.kinds import NOTEBOOKS, Kind


def job_notebook(kind: Kind) -> Path:
    """The notebook that does a job of this kind."""
    return Path(__file__).parent / NOTEBOOKS[kind]
