"""A job, seen from the notebook: watch it, stop it, have its result."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from axonlab.follower import POLL_S, QUEUE_POLL_S
from axonlab.job_html import plain_card
from axonlab.job_view import JobView
from axonlab.job_words import failure
from axonlab.progress import JobBar, has_widgets, in_notebook
from axonlab_core.contract import jobs as contract
from axonlab_core.contract.errors import AxonlabError, Conflict
from axonlab_core.contract.events import Event, EventsAnswer
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.log_lines import log_text
from axonlab_core.contract.states import JobState, Reason

if TYPE_CHECKING:
    from axonlab.client import Client
    from axonlab.job_card import JobCard
    from axonlab.result import Result

_PATIENCE_S = 300.0
"""How long waiting goes on while the service is away: the job goes on too."""
_LOOK_S = 1.0
_REPR_TIMEOUT_S = 5.0


class Job:
    """One job of yours. It lives in the service: closing the notebook does not stop it."""

    def __init__(self, client: Client, known: contract.Job) -> None:
        self._client = client
        self._known = known
        self._result: Result | None = None
        self._card: JobCard | None = None

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

    @property
    def page_url(self) -> str:
        """Address of the job's page on the hub."""
        return f"{self._client.pages_url}jobs/{self.id}"

    def refresh(self) -> Self:
        """The job, after asking the service how it is."""
        self._known = self._client.session.call("GET", f"jobs/{self.id}", contract.Job)
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happens in the job, from its beginning or after event number `after`, until it is over."""
        for answer in self._answers(after, deadline=None):
            yield from answer.events

    def wait(self, timeout_s: float | None = None) -> Self:
        """The job, once it is over (or `timeout_s` seconds have passed: see its `state`).

        A notebook shows its card meanwhile, a terminal a progress bar. Interrupting it stops the waiting and not the
        job.

        Raises
        ------
        JobFailed
            If it ended without a result; says why and what to do.
        PlatformError
            If it ended without a result and that is not your doing, or the service has been away for minutes.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._known.state.is_final:
            try:
                if in_notebook() and has_widgets():
                    self._watch_card(deadline)
                else:
                    self._watch_bar(deadline)
            except KeyboardInterrupt:
                print(
                    f"\nNo longer waiting for job {self.id}; it goes on. Watch it again with job.wait() (or "
                    f"axonlab.job({self.id!r}).wait()), stop it with job.cancel().",
                    file=sys.stdout if in_notebook() else sys.stderr,
                )
                if not in_notebook():
                    raise
                return self
        if (error := failure(self._known)) is not None:
            raise error
        return self

    def cancel(self) -> Self:
        """The job, after asking the service to stop it; a running one stops within seconds."""
        self._known = self._client.session.call("POST", f"jobs/{self.id}/cancel", contract.Job)
        return self

    def resubmit(self) -> Job:
        """A new job that asks for the same; this one must be over.

        Raises
        ------
        Conflict
            If it is not over yet.
        """
        # The key makes a repeated call, after an answer that was lost, the same job.
        again = contract.ResubmitRequest(idempotency_key=uuid.uuid4().hex)
        return Job(
            self._client, self._client.session.call("POST", f"jobs/{self.id}/resubmit", contract.Job, body=again)
        )

    def log(self) -> str:
        """What the job has said and printed so far; follow it with `events()`, or `axonlab job logs -f`."""
        return log_text(event for events in self.batches(follow=False) for event in events)

    def batches(self, *, follow: bool) -> Iterator[tuple[Event, ...]]:
        """Its events from the beginning, as many at a time as there are: those so far, or until it is over."""
        if follow:
            yield from (answer.events for answer in self._answers(0, deadline=None))
            return
        after, more = 0, True
        while more:
            answer = self.poll(after, 0, patience_s=self._client.session.patience_s)
            more, after = answer.next_after > after, answer.next_after
            yield answer.events

    def card(self) -> JobCard:
        """Its card, which moves with the job: state, progress, curve, log, and buttons to stop or repeat it.

        Raises
        ------
        UserError
            If the package ipywidgets is not installed here.
        """
        from axonlab.job_card import JobCard, require_widgets  # noqa: PLC0415 (widgets only where they are asked for)

        require_widgets()
        if self._card is None or self._card.is_closed:
            self._card = JobCard(self)
        self._card.follow()
        return self._card

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
        reason = f" ({known.reason})" if known.reason not in {None, Reason.done} else ""
        message = f": {known.message}" if known.message else ""
        return f"Job {known.id}{named}: {known.kind} {known.state}{reason}{message}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The card where there are widgets, else how it is now; where a cell has shown the card already, a line."""
        plain = {"text/plain": repr(self)}
        if not in_notebook():
            return plain
        if has_widgets():
            card = self.card()
            return plain if card.is_shown_in_this_cell() else card.bundle()
        return plain | {"text/html": plain_card(self._look(), self.page_url)}

    def _look(self) -> JobView:
        """How it is at this moment, as far as the service says so quickly."""
        view = JobView(self._known)
        try:
            more = True
            while more:
                before = view.after
                view.feed(self.poll(before, 0, timeout_s=_REPR_TIMEOUT_S))
                more = view.after > before
            view.job = self.refresh().details
        except AxonlabError as error:
            view.notice = str(error)
        return view

    def poll(self, after: int, wait_s: float, *, timeout_s: float = 30.0, patience_s: float = 0.0) -> EventsAnswer:
        """The events after event number `after`, as soon as there are any, within `wait_s` seconds.

        Raises
        ------
        UserError, PlatformError
            As the service says; `Unavailable` while it is away.
        """
        return self._client.session.call(
            "GET",
            f"jobs/{self.id}/events",
            EventsAnswer,
            query={"after": after, "wait": round(wait_s, 3)},
            wait_s=wait_s,
            timeout_s=timeout_s,
            patience_s=patience_s,
        )

    def _watch_card(self, deadline: float | None) -> None:
        """Show the card, and wait until what it shows is the end."""
        card = self.card()
        card.show()
        while not card.wait(_LOOK_S if deadline is None else max(0.0, min(_LOOK_S, deadline - time.monotonic()))):
            if deadline is not None and time.monotonic() >= deadline:
                return
            if (error := card.error) is not None and card.away_s > _PATIENCE_S:
                raise error
        card.settle()
        if not self._known.state.is_final and (error := card.error) is not None:
            raise error

    def _watch_bar(self, deadline: float | None) -> None:
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
            wait_s = QUEUE_POLL_S if state == JobState.queued else POLL_S
            if deadline is not None:
                wait_s = max(0.0, min(wait_s, deadline - time.monotonic()))
            answer = self.poll(after, wait_s, patience_s=_PATIENCE_S)
            more = answer.next_after > after
            after, state = answer.next_after, answer.state
            yield answer
            if (state.is_final and not more) or (deadline is not None and time.monotonic() >= deadline):
                return
