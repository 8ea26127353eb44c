"""When a queued job may start, judged by how long runs of its kind took lately and by who is there to take it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from axonlab_core.contract.kinds import Capabilities, Kind, shortfalls
from axonlab_hub.listing_rows import Busy, Waiting
from axonlab_hub.store import Rows
from axonlab_hub.tables import RunnerRow

SEEN_RECENTLY = timedelta(minutes=1)
_HISTORY = 20
_LOOKED_AT = 1000
_NAMED = 3


class Forecast:
    """What is the same for every queued job of one answer; asks the rows when the first of them needs it."""

    def __init__(self, rows: Rows, now: datetime) -> None:
        self._rows = rows
        self._now = now
        self._machines: list[Capabilities] | None = None
        self._starts_s: dict[str, float] | None = None

    def start_s(self, job_id: str) -> float | None:
        """In how many seconds the job may start; None where nobody can say."""
        if self._starts_s is None:
            queue = self._rows.queue(_LOOKED_AT)
            busy = self._rows.busy()
            kinds = {entry.kind for entry in (*queue, *busy)}
            self._starts_s = expected_starts(
                queue,
                busy,
                self.machines,
                {kind: statistics.median(found) for kind in kinds if (found := self._recent(kind))},
                self._now,
            )
        return self._starts_s.get(job_id)

    def why_nobody(self, kind: str) -> str:
        """Why no runner seen lately could take a job of that kind; empty if one could."""
        if not self.machines:
            return (
                "No runner has asked for work in the last minute, so the job waits. "
                "If it stays so, ask the operator to start one (axonlab runner)."
            )
        lacks = [(machine.name, shortfalls(Kind(kind), machine)) for machine in self.machines]
        if any(not short for _, short in lacks):
            return ""
        reasons = "; ".join(f"{name}: {', '.join(short)}" for name, short in lacks[:_NAMED])
        count = "The only runner" if len(lacks) == 1 else f"None of the {len(lacks)} runners"
        verb = "cannot take this job" if len(lacks) == 1 else "can take this job"
        return (
            f"{count} seen in the last minute {verb}, so it waits ({reasons}). Ask the operator for a larger machine."
        )

    @property
    def machines(self) -> list[Capabilities]:
        """The runners seen lately."""
        if self._machines is None:
            self._machines = [as_machine(row) for row in self._rows.runners_since(self._now - SEEN_RECENTLY)]
        return self._machines

    def _recent(self, kind: str) -> list[float]:
        return self._rows.recent_durations_s(kind, _HISTORY)


def as_machine(row: RunnerRow) -> Capabilities:
    """What a runner said of itself."""
    return Capabilities.read_answer(row.capabilities)


def expected_starts(
    queue: Sequence[Waiting],
    busy: Sequence[Busy],
    machines: Sequence[Capabilities],
    typical_s: Mapping[str, float],
    now: datetime,
) -> dict[str, float]:
    """In how many seconds each queued job may start, by its id: jobs are dealt in order to whoever is free first.

    A job is left out where no machine can take it, or where what runs before it is of a kind without history.
    """
    free_s = {machine.name: 0.0 for machine in machines}
    for run in busy:
        if run.runner in free_s:
            ran_s = (now - run.claimed_at).total_seconds()
            free_s[run.runner] = max(0.0, typical_s.get(run.kind, math.inf) - ran_s)
    takers = {
        kind: [machine.name for machine in machines if not shortfalls(Kind(kind), machine)]
        for kind in {job.kind for job in queue}
    }
    starts: dict[str, float] = {}
    for job in queue:
        if not (names := takers[job.kind]):
            continue
        first = min(names, key=free_s.__getitem__)
        if math.isfinite(free_s[first]):
            starts[job.id] = free_s[first]
        free_s[first] += typical_s.get(job.kind, math.inf)
    return starts
