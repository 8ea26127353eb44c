"""Stopping between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The work was asked to stop and has stopped; what it had reached is saved."""


class Stopping:
    """While this context is open, SIGINT and SIGTERM set `requested`; afterwards the old handlers are back.

    Python delivers signals to the main thread only; on another thread `requested` can be set by hand.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def check(self, done: str) -> None:
        """Nothing, unless a stop was requested.

        Raises
        ------
        Interrupted
            If it was; `done` says how far the work had come.
        """
        if self.requested:
            raise Interrupted(f"Stopped on request {done}.")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
