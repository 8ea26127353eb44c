"""A job, seen from the notebook: watch it, stop it, have its result."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from axonlab.progress import JobBar, in_notebook
from axonlab_core.contract import jobs as contract
from axonlab_core.contract.errors import AxonlabError, Conflict, JobFailed, PlatformError
from axonlab_core.contract.events import Event, EventsAnswer
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState, Reason

if TYPE_CHECKING:
    from axonlab.client import Client
    from axonlab.result import Result

_POLL_S = 20.0
_QUEUE_POLL_S = 3.0
"""While a job waits its place in the queue moves without any event of its own."""
_PATIENCE_S = 300.0
"""How long watching goes on while the service is away: the job goes on too."""

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


class Job:
    """One job of yours. It lives in the service: closing the notebook does not stop it."""

    def __init__(self, client: Client, known: contract.Job) -> None:
        self._client = client
        self._known = known
        self._result: Result | None = None

    @property
    def id(self) -> str:
        """Its id; `axonlab.job(id)` finds it again."""
        return self._known.id

    @property
    def kind(self) -> Kind:
        """What it does: train or infer."""
        return self._known.kind

    @property
    def state(self) -> JobState:
        """Where it is now; asks the service unless it is over."""
        if not self._known.state.is_final:
            self.refresh()
        return self._known.state

    @property
    def details(self) -> contract.Job:
        """All that the service said about it when it was last asked."""
        return self._known

    def refresh(self) -> Self:
        """The job, after asking the service how it is."""
        self._known = self._client.session.call("GET", f"jobs/{self.id}", contract.Job)
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happens in the job, from its beginning or after event number `after`, until it is over."""
        for answer in self._answers(after, deadline=None):
            yield from answer.events

    def wait(self, timeout_s: float | None = None) -> Self:
        """The job, once it is over (or `timeout_s` seconds have passed: see its `state`), with a progress bar.

        Interrupting it stops the watching and not the job.

        Raises
        ------
        JobFailed
            If it ended without a result; says why and what to do.
        PlatformError
            If it ended without a result and that is not your doing.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._known.state.is_final:
            try:
                self._watch(deadline)
            except KeyboardInterrupt:
                print(
                    f"\nNo longer watching job {self.id}; it goes on. Watch it again with job.wait() (or "
                    f"axonlab.job({self.id!r}).wait()), stop it with job.cancel().",
                    file=sys.stdout if in_notebook() else sys.stderr,
                )
                if not in_notebook():
                    raise
                return self
        if (error := _failure(self._known)) is not None:
            raise error
        return self

    def cancel(self) -> Self:
        """The job, after asking the service to stop it; a running one stops within seconds."""
        self._known = self._client.session.call("POST", f"jobs/{self.id}/cancel", contract.Job)
        return self

    def result(self, timeout_s: float | None = None) -> Result:
        """Its result bundle on this machine; waits for the job, and fetches each file once.

        Raises
        ------
        JobFailed, PlatformError
            If it ended without a result.
        Conflict
            If it is not over yet.
        """
        if self._result is None:
            self.wait(timeout_s)
            if not self.state.is_final:
                raise Conflict(f"Job {self.id} is {self._known.state}.", remedy="Wait for it with job.wait().")
            self._result = self._client.fetch_result(self._known)
        return self._result

    def report(self) -> Path:
        """The lab report, the job's notebook as it was executed; of a failed job too, up to where it failed.

        Raises
        ------
        NotFound
            If there is none (yet).
        """
        return self._client.fetch_report(self.refresh().details)

    def __repr__(self) -> str:
        known = self._known
        named = f" {known.spec.name!r}" if known.spec.name else ""
        reason = f" ({known.reason})" if known.reason is not None else ""
        message = f": {known.message}" if known.message else ""
        return f"Job {known.id}{named}: {known.kind} {known.state}{reason}{message}"

    def _watch(self, deadline: float | None) -> None:
        with JobBar(f"{self.kind} {self.id[:8]}") as bar:
            for answer in self._answers(0, deadline):
                for event in answer.events:
                    bar.feed(event.body)
                if not answer.events and answer.state == JobState.queued:
                    bar.queued(self.refresh().details.queue_position)
            self.refresh()

    def _answers(self, after: int, deadline: float | None) -> Iterator[EventsAnswer]:
        """Events as they come, none where nothing came for a while; ends with the job or at the deadline."""
        state = self._known.state
        while True:
            wait_s = _QUEUE_POLL_S if state == JobState.queued else _POLL_S
            if deadline is not None:
                wait_s = max(0.0, min(wait_s, deadline - time.monotonic()))
            answer = self._client.session.call(
                "GET",
                f"jobs/{self.id}/events",
                EventsAnswer,
                query={"after": after, "wait": round(wait_s, 3)},
                wait_s=wait_s,
                patience_s=_PATIENCE_S,
            )
            more = answer.next_after > after
            after, state = answer.next_after, answer.state
            yield answer
            if (state.is_final and not more) or (deadline is not None and time.monotonic() >= deadline):
                return


def _failure(job: contract.Job) -> AxonlabError | None:
    """The exception that says why a job has no result; None if it has one, or is not over."""
    if job.state not in {JobState.failed, JobState.cancelled}:
        return None
    reason = job.reason or Reason.platform
    message = f"Job {job.id} was cancelled." if job.state == JobState.cancelled else f"Job {job.id} failed ({reason})."
    if job.message:
        message = f"{message} {job.message}"
    kind = PlatformError if reason in _NOT_YOUR_DOING else JobFailed
    return kind(message, remedy=_REMEDIES.get(reason, ""))
