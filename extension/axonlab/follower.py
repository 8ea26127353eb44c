"""Follows one job by long poll on a thread of its own, and says what it hears."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from axonlab_core.contract.errors import AxonlabError
from axonlab_core.contract.events import EventsAnswer
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.states import JobState

if TYPE_CHECKING:
    from axonlab.job_handle import Job as JobHandle

POLL_S = 20.0
QUEUE_POLL_S = 3.0
"""While a job waits its place in the queue moves without any event of its own."""
_APART_S = 0.25
"""Between two answers; what happens meanwhile comes in one."""
_LONGEST_PAUSE_S = 15.0


class Follower:
    """Ends with the job, when it is told to stop, or when the service will not answer any more.

    While the service is away it goes on trying: the job goes on too. It never keeps a process from ending.

    Parameters
    ----------
    heard : callable
        Called on the thread with an answer and, where it was asked for, the job's present state.
    hindered : callable
        Called on the thread with why nothing is heard at present, and None once the service answers again.
    """

    def __init__(
        self,
        job: JobHandle,
        heard: Callable[[EventsAnswer, Job | None], None],
        hindered: Callable[[AxonlabError | None], None],
        *,
        after: int = 0,
    ) -> None:
        self._job, self._heard, self._hindered, self._after = job, heard, hindered, after
        self._stop = threading.Event()
        self._away_since: float | None = None
        self.error: AxonlabError | None = None
        """Why it does not hear anything now, or why it has ended without the job."""
        self.has_seen_the_end = False
        self._thread = threading.Thread(target=self._run, name=f"axonlab-{job.id[:8]}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, at the latest with the answer that is being waited for."""
        self._stop.set()

    @property
    def is_alive(self) -> bool:
        """Whether it still follows."""
        return self._thread.is_alive() and not self._stop.is_set()

    def away_s(self) -> float:
        """For how long the service has not answered, in seconds."""
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    def join(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended, once it has or the time is over."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        state, tries = self._job.details.state, 0
        while not self._stop.is_set():
            try:
                answer = self._job.poll(self._after, QUEUE_POLL_S if state == JobState.queued else POLL_S)
                idle = answer.state == JobState.queued and not answer.events
                ended = answer.state.is_final and answer.next_after == self._after
                now = self._job.refresh().details if idle or ended or answer.state != state else None
            except AxonlabError as error:
                self._lost(error)
                if not error.retryable:
                    return
                tries += 1
                self._stop.wait(min(_LONGEST_PAUSE_S, 0.3 * 2 ** min(tries, 10)) * random.uniform(0.7, 1.0))  # noqa: S311 (spreads a class's calls)
                continue
            if self._away_since is not None:
                tries, self._away_since, self.error = 0, None, None
                self._hindered(None)
            state, self._after = answer.state, answer.next_after
            if self._stop.is_set():
                return
            self._heard(answer, now)
            if ended:
                self.has_seen_the_end = True
                return
            self._stop.wait(_APART_S)

    def _lost(self, error: AxonlabError) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
        self.error = error
        self._hindered(error)
