"""Long polls: answered when something happens, or when their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

Result = TypeVar("Result")


def job_topic(job_id: str) -> str:
    """What is rung when something happens to a job."""
    return f"job:{job_id}"


QUEUE = "queue"
"""What is rung when a job is queued."""


class Notifier:
    """Wakes this process's long polls. Other replicas find out by looking into the database again."""

    def __init__(self, *, recheck_s: float) -> None:
        self._recheck_s = recheck_s
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False

    @property
    def waiting(self) -> int:
        """How many long polls are waiting."""
        return sum(len(bells) for bells in self._waiting.values())

    def start(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Let everybody who waits be answered now, and nobody wait any more: the service is about to end."""
        self._over = True
        self._loop = None
        for topic in list(self._waiting):
            self._wake(topic)

    def ring(self, topic: str) -> None:
        """Wake whoever waits for `topic`; may be called on any thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._wake, topic)

    async def until(
        self,
        look: Callable[[], tuple[bool, Result]],
        *,
        topic: str,
        wait_s: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> Result:
        """What `look` finds, as soon as it says that it is worth answering, or when `wait_s` is over.

        `look` blocks and runs on another thread; `gone` tells whether the caller has hung up.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait_s
        with self._listen(topic) as bell:
            while True:
                bell.clear()  # before looking: what happens while we look rings again
                worth, found = await run_in_threadpool(look)
                left_s = ends_at - loop.time()
                if worth or self._over or left_s <= 0 or await gone():
                    return found
                await _ring_or_timeout(bell, min(left_s, self._recheck_s))

    @contextmanager
    def _listen(self, topic: str) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        self._waiting.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            self._waiting[topic].discard(bell)
            if not self._waiting[topic]:
                del self._waiting[topic]

    def _wake(self, topic: str) -> None:
        for bell in self._waiting.get(topic, ()):
            bell.set()


async def _ring_or_timeout(bell: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await bell.wait()
    except TimeoutError:
        return
