"""The watch over one run: its lease, its wall clock, and the wish to stop it. The first reason to stop counts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Self

from axonlab_core.contract.errors import AxonlabError, Conflict, NotAllowed, NotFound, NotSignedIn
from axonlab_runner.source import Run

logger = logging.getLogger(__name__)


class Stop(StrEnum):
    """Why a run has to end early."""

    cancelled = "cancelled"
    timeout = "timeout"
    shutdown = "shutdown"
    fenced = "fenced"


class Stopped(AxonlabError):
    """The run has to end early."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(f"The run was stopped: {stop}.")
        self.stop = stop


class Watch:
    """Renews the lease in a thread of its own, from `with` to its end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stop: Stop | None = None
        self._lock = threading.RLock()  # a signal handler may come while its own thread is in here
        self._over = threading.Event()
        self._listeners: list[Callable[[Stop], None]] = []
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.deadline = time.monotonic() + run.claim.wall_clock_s

    def __enter__(self) -> Self:
        """Start to renew the lease."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the lease be. A heartbeat that is still open holds nothing and ends by itself."""
        self._over.set()

    @property
    def stop(self) -> Stop | None:
        """Why the run has to end, None while it may go on."""
        return self._stop

    def ask(self, stop: Stop) -> None:
        """End the run for this reason, unless there is one already. A lost claim overrules every other."""
        with self._lock:
            if self._stop is not None and stop is not Stop.fenced:
                return
            self._stop = stop
            listeners = list(self._listeners)
        logger.info("run %s: stop (%s)", self._run.claim.job_id, stop)
        for listener in listeners:
            listener(stop)

    def listen(self, listener: Callable[[Stop], None]) -> None:
        """Call `listener` when the run has to end; at once if it has to already."""
        with self._lock:
            self._listeners.append(listener)
            stop = self._stop
        if stop is not None:
            listener(stop)

    def check(self) -> None:
        """Pass while the run may go on.

        Raises
        ------
        Stopped
            If it has to end.
        """
        if self._stop is None and time.monotonic() >= self.deadline:
            self.ask(Stop.timeout)
        if self._stop is not None:
            raise Stopped(self._stop)

    def check_claim(self) -> None:
        """Pass while it is worth to complete a run whose work is done: it is still ours, and still wanted.

        Raises
        ------
        Stopped
            If it is not.
        """
        if self._stop in {Stop.cancelled, Stop.fenced}:
            self.check()

    def _beat(self) -> None:
        every_s = self._run.claim.heartbeat_s
        while not self._over.is_set():
            try:
                answer = self._run.heartbeat(every_s)
            except (Conflict, NotFound, NotAllowed, NotSignedIn) as error:
                # Another run has it, the job is gone, the token is no longer known: in any case it is not ours.
                if not self._over.is_set():
                    logger.warning("heartbeat refused: %s", error)
                    self.ask(Stop.fenced)
                return
            except AxonlabError as error:
                # The service is away or busy. It decides about the lease when it is back; until then work goes on.
                logger.info("heartbeat: %s", error)
                self._over.wait(min(1.0, every_s))
            else:
                if answer.cancel:
                    self.ask(Stop.cancelled)
                    self._over.wait(every_s)  # keep the lease while the kernel winds up
