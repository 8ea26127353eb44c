"""What may be asked for here: kinds, limits, palettes, one's courses, and who is there to carry it out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from axonlab_core import __version__
from axonlab_core.contract.jobs import MAX_MINUTES, MAX_STEPS, TrainSpec
from axonlab_core.contract.kinds import REQUIREMENTS, Kind
from axonlab_core.contract.options import (
    CourseRole,
    KindOption,
    Limits,
    NamedPalette,
    OptionsAnswer,
    RunnerCount,
    RunnerDetails,
)
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.contract.states import JobState
from axonlab_hub.auth import Person
from axonlab_hub.forecast import SEEN_RECENTLY, as_machine
from axonlab_hub.queueing import servable
from axonlab_hub.settings import Settings
from axonlab_hub.store import Rows
from axonlab_hub.tables import RunnerRow

MAX_WAIT_S = 60
PALETTES = {"axons": AXON_PALETTE}
_PRESETS: dict[Kind, tuple[str, ...]] = {Kind.train: get_args(TrainSpec.model_fields["preset"].annotation)}


def options_for(rows: Rows, person: Person, settings: Settings, now: datetime) -> OptionsAnswer:
    """What this person may ask for now."""
    counts = rows.counts()
    runners = rows.runners_since(now - SEEN_RECENTLY)
    staff = "staff" in person.courses.values()
    return OptionsAnswer(
        version=__version__,
        kinds=tuple(
            KindOption(
                kind=kind,
                requirements={device: needs for device, needs in REQUIREMENTS[kind].items()},  # noqa: C416 (keys widen to str)
                presets=_PRESETS.get(kind, ()),
                queued=counts.get((kind, JobState.queued), 0),
                running=counts.get((kind, JobState.running), 0),
            )
            for kind in Kind
        ),
        limits=Limits(
            max_minutes=MAX_MINUTES,
            max_steps=MAX_STEPS,
            max_blob_bytes=settings.max_blob_bytes,
            max_body_bytes=settings.max_body_bytes,
            max_wait_s=MAX_WAIT_S,
            max_unfinished_jobs=settings.max_unfinished_jobs,
            unfinished_jobs=rows.unfinished(person.name),
            requests_per_s=settings.requests_per_s,
            request_burst=settings.request_burst,
        ),
        palettes=tuple(NamedPalette(name=name, palette=palette) for name, palette in PALETTES.items()),
        courses=tuple(CourseRole(course=course, role=role) for course, role in person.courses.items()),
        runners=tuple(_count(runners)),
        runner_details=tuple(_details(row) for row in runners) if staff else None,
    )


def _count(runners: Sequence[RunnerRow]) -> list[RunnerCount]:
    machines = [as_machine(row) for row in runners]
    able = [(kind, machine.device) for machine in machines for kind in servable(machine)]
    return [
        RunnerCount(kind=kind, device=device, count=able.count((kind, device))) for kind, device in sorted(set(able))
    ]


def _details(row: RunnerRow) -> RunnerDetails:
    return RunnerDetails(**as_machine(row).model_dump(mode="json"), seen_at=row.seen_at)
