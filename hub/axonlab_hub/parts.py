"""The parts of the running service that routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from axonlab_core.backends.storage import Storage
from axonlab_hub.artifacts import Artifacts
from axonlab_hub.jobs import Jobs
from axonlab_hub.publishing import Publishing
from axonlab_hub.runs import Runs
from axonlab_hub.settings import Settings
from axonlab_hub.store import Store
from axonlab_hub.waiting import Notifier


@dataclass(frozen=True)
class Parts:
    """One service's parts."""

    settings: Settings
    store: Store
    storage: Storage
    notifier: Notifier
    jobs: Jobs
    runs: Runs
    artifacts: Artifacts
    publishing: Publishing
    clock: Callable[[], datetime]


def parts_of(request: Request) -> Parts:
    """The parts of the service that answers this request."""
    parts: Parts = request.app.state.parts
    return parts
