"""Job notebooks: what papermill executes for each kind of job. They ship with the package."""

from __future__ import annotations

from pathlib import Path

from axonlab_core.contract.kinds import NOTEBOOKS, Kind


def job_notebook(kind: Kind) -> Path:
    """The file of the notebook that carries out jobs of that kind."""
    return Path(__file__).with_name(NOTEBOOKS[kind])
