"""Token buckets: how often somebody may do something, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from axonlab_core.contract.errors import LimitReached

_MAX_BUCKETS = 10_000


class Rates:
    """Each name has a bucket of `burst` calls, which fills by `per_s` calls a second. For one thread."""

    def __init__(self, per_s: float, *, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def left(self, name: str) -> bool:
        """Whether a call is left in the bucket."""
        return self._level(name) >= 1

    def take(self, name: str) -> bool:
        """Whether there was a call left; it is taken."""
        level = self._level(name)
        if level < 1:
            return False
        if len(self._buckets) >= _MAX_BUCKETS and name not in self._buckets:
            self._forget_full()
        self._buckets[name] = (level - 1, self._clock())
        return True

    def give_back(self, name: str) -> None:
        """Put a call back that was taken."""
        self._buckets[name] = (min(float(self._burst), self._level(name) + 1), self._clock())

    def take_or_refuse(self, name: str) -> None:
        """Take a call.

        Raises
        ------
        LimitReached
            If there is none left.
        """
        if not self.take(name):
            raise LimitReached(
                f"{name} makes more than {self._per_s:g} calls a second.",
                remedy="Wait a moment; to follow a job, let the service hold its answer back (events?wait=20).",
                retry_after_s=(1 - self._level(name)) / self._per_s,
            )

    def _level(self, name: str) -> float:
        level, at = self._buckets.get(name, (float(self._burst), 0.0))
        return min(float(self._burst), level + (self._clock() - at) * self._per_s)

    def _forget_full(self) -> None:
        # A full bucket is as good as none.
        self._buckets = {name: entry for name, entry in self._buckets.items() if self._level(name) < self._burst}
