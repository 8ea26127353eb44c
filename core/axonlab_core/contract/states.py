"""States of a job, and the one table of what may follow what.

      submit         claim           complete
·  ──────────► queued ───► running ───────────► succeeded
                 ▲  │        │ │ │
                 │  │ cancel │ │ └── fail ────► failed
                 │  └────────┼─┼───────────────► cancelled
                 └───────────┘ └─ stop ────────►
                   hand_back, lose
"""

from __future__ import annotations

from enum import StrEnum

from axonlab_core.contract.errors import Conflict


class JobState(StrEnum):
    """Where a job is in its life."""

    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in {JobState.succeeded, JobState.failed, JobState.cancelled}


class Reason(StrEnum):
    """Why a job is in its final state."""

    done = "done"
    code_error = "code_error"
    bad_input = "bad_input"
    out_of_memory = "out_of_memory"
    timeout = "timeout"
    deadline = "deadline"
    cancelled_by_user = "cancelled_by_user"
    budget = "budget"
    platform = "platform"
    too_many_attempts = "too_many_attempts"


class Trigger(StrEnum):
    """What moves a job."""

    claim = "claim"
    complete = "complete"
    fail = "fail"
    cancel = "cancel"
    """Asked for while the job is still queued; a running one is asked to stop first."""
    stop = "stop"
    """The runner has stopped a job that was to be cancelled."""
    hand_back = "hand_back"
    """Preempted or shut down; costs no attempt."""
    lose = "lose"
    """The lease ran out, or the platform failed under the run; costs an attempt."""
    give_up = "give_up"
    """Lost too often."""


TRANSITIONS: dict[tuple[JobState, Trigger], JobState] = {
    (JobState.queued, Trigger.claim): JobState.running,
    (JobState.queued, Trigger.cancel): JobState.cancelled,
    (JobState.running, Trigger.complete): JobState.succeeded,
    (JobState.running, Trigger.fail): JobState.failed,
    (JobState.running, Trigger.stop): JobState.cancelled,
    (JobState.running, Trigger.hand_back): JobState.queued,
    (JobState.running, Trigger.lose): JobState.queued,
    (JobState.running, Trigger.give_up): JobState.failed,
}


def next_state(state: JobState, trigger: Trigger) -> JobState:
    """The state that follows.

    Raises
    ------
    Conflict
        If `trigger` means nothing in `state`.
    """
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise Conflict(f"A job that is {state} cannot {trigger.replace('_', ' ')}.") from None
