"""A job in words: the same in table, card, command line and exception."""

from __future__ import annotations

from datetime import datetime

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import AxonlabError, JobFailed, PlatformError
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.states import JobState, Reason

_MINUTE_S = 60
_HOUR_S = 3600
_REMEDIES: dict[Reason, str] = {
    Reason.code_error: "Look into the lab report, job.report(), for where it stopped, and tell the course's staff.",
    Reason.bad_input: "Change the images, labels or parameters that it names, and submit again.",
    Reason.out_of_memory: "Use smaller images, or ask the staff for a machine with more memory.",
    Reason.timeout: "Give it a smaller budget or fewer images, or a larger wall_clock_minutes.",
    Reason.deadline: "Ask the course's staff.",
    Reason.cancelled_by_user: "Submit it again if that was a mistake.",
    Reason.budget: "Wait until the budget is renewed, or ask the course's staff.",
    Reason.platform: "It is not your doing. Submit it again; if it happens twice, tell the operator.",
    Reason.too_many_attempts: "It is not your doing. Submit it again; if it happens twice, tell the operator.",
}
_NOT_YOUR_DOING = frozenset({Reason.platform, Reason.too_many_attempts})


def remedy(reason: Reason | None) -> str:
    """What to do about a job that ended for that reason; empty if nothing."""
    return _REMEDIES.get(reason, "") if reason is not None else ""


def failure(job: Job) -> AxonlabError | None:
    """The exception that says why a job has no result; None if it has one, or is not over."""
    if job.state not in {JobState.failed, JobState.cancelled}:
        return None
    reason = job.reason or Reason.platform
    message = f"Job {job.id} was cancelled." if job.state == JobState.cancelled else f"Job {job.id} failed ({reason})."
    if job.message:
        message = f"{message} {job.message}"
    kind = PlatformError if reason in _NOT_YOUR_DOING else JobFailed
    return kind(message, remedy=remedy(reason))


def queue_words(position: int | None, expected_start_s: float | None = None) -> str:
    """Where in the queue, and when it may start; empty if nobody can say."""
    place = "" if position is None else "next" if position == 1 else f"{position - 1} before this one"
    start = "" if expected_start_s is None else f"expected to start {_in_words(expected_start_s)}"
    return ", ".join(part for part in (place, start) if part)


def _in_words(seconds: float) -> str:
    return "at any moment" if seconds < 1 else f"in about {duration_words(seconds)}"


def state_words(job: Job) -> str:
    """State, and what belongs to it: place in the queue, or reason."""
    if job.state == JobState.queued:
        place = queue_words(job.queue_position, job.expected_start_s)
        return f"queued ({place})" if place else "queued"
    if job.state == JobState.running:
        return "stopping" if job.cancel_requested else "running"
    if job.reason is None or job.reason in {Reason.done, Reason.cancelled_by_user}:
        return job.state.value
    return f"{job.state} ({job.reason.replace('_', ' ')})"


def duration_words(seconds: float) -> str:
    """A duration as people say it, in the two largest units."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def run_time_s(job: Job) -> float | None:
    """For how long the job's last run took or has taken, in seconds; None if it never started."""
    if job.started_at is None:
        return None
    return ((job.finished_at or utc_now()) - job.started_at).total_seconds()


def local_time(at: datetime | None) -> str:
    """A point in time on the reader's clock, to the second; empty if there is none."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def job_lines(job: Job) -> list[tuple[str, str]]:
    """What there is to say of a job, each with its name; what is not known is left out."""
    took = run_time_s(job)
    found = (
        ("job", job.id),
        ("kind", job.kind.value),
        ("name", job.spec.name),
        ("state", state_words(job)),
        ("message", job.message),
        ("what to do", remedy(job.reason)),
        ("course", job.course or ""),
        ("assignment", job.assignment or ""),
        ("owner", job.owner),
        ("attempt", str(job.attempt or "")),
        ("repeats job", job.resubmitted_from or ""),
        ("submitted", local_time(job.created_at)),
        ("started", local_time(job.started_at)),
        ("ended", local_time(job.finished_at)),
        ("took", "" if took is None else duration_words(took)),
    )
    return [(name, value) for name, value in found if value]
