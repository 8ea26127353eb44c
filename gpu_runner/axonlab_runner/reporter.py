"""Events of a run on their way to the service: in order, in batches, in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Self

from axonlab_core.contract.errors import AxonlabError
from axonlab_core.contract.events import CheckpointEvent, LogEvent, ProgressEvent, RunnerEvent
from axonlab_runner.source import Run

logger = logging.getLogger(__name__)

_BATCH = 100
_BATCH_CHARACTERS = 200_000
_FLUSH_S = 20.0
_GATHER_S = 0.3
"""Between two batches: what happens after a while of silence goes out at once, the rest is gathered."""
_MAX_LOG_CHARACTERS = 1_000_000
_LINE_CHARACTERS = 20_000


class Reporter:
    """Takes events from any thread; `with` starts and ends the sending."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._queue: queue.SimpleQueue[RunnerEvent | None] = queue.SimpleQueue()
        self._sent = 0
        self._log_characters = 0
        self._next_at = 0.0
        self._thread = threading.Thread(target=self._send, name="events", daemon=True)

    def __enter__(self) -> Self:
        """Start to send."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send what is left."""
        self.flush()

    def flush(self) -> None:
        """Send what is left and end; later events are not sent. Does not wait for ever."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(_FLUSH_S)
            if self._thread.is_alive():
                logger.warning("the last events are still on their way and are given up")

    def event(self, event: RunnerEvent) -> None:
        """Report something."""
        if isinstance(event, LogEvent):
            self._log_characters += len(event.text)
            if self._log_characters > _MAX_LOG_CHARACTERS:
                if self._log_characters - len(event.text) <= _MAX_LOG_CHARACTERS:
                    self._queue.put(LogEvent(stream="runner", text="(more was printed; the log stops here)\n"))
                return
        self._queue.put(event)

    def log(self, stream: str, text: str) -> None:
        """Report lines of text."""
        kind = stream if stream in {"stdout", "stderr"} else "runner"
        text = text.encode(errors="replace").decode()  # half of a surrogate pair can be printed, but not sent
        for start in range(0, len(text), _LINE_CHARACTERS):
            self.event(LogEvent.model_validate({"stream": kind, "text": text[start : start + _LINE_CHARACTERS]}))

    def _send(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._gather()
            if not batch:
                continue
            self._next_at = time.monotonic() + _GATHER_S
            if not self._deliver(batch):
                # What the next run needs to go on is tried once more, by itself.
                checkpoints = [e for e in batch if isinstance(e, CheckpointEvent) and e.sha256 is not None]
                if checkpoints:
                    self._deliver(checkpoints[-1:])

    def _deliver(self, batch: Sequence[RunnerEvent]) -> bool:
        try:
            self._run.send_events(self._sent, batch)
        except AxonlabError as error:
            # Progress is worth less than the work. Numbers stay as they are: the next batch takes their place.
            logger.warning("%d events were not delivered: %s", len(batch), error)
            return False
        self._sent += len(batch)
        return True

    def _gather(self) -> tuple[list[RunnerEvent], bool]:
        """The next batch, and whether more may follow; of several progress events in a row only the last counts."""
        first = self._queue.get()
        if first is None:
            return [], False
        batch = [first]
        while len(batch) < _BATCH and sum(map(_characters, batch)) < _BATCH_CHARACTERS:
            try:
                event = self._queue.get(timeout=max(0.0, self._next_at - time.monotonic()))
            except queue.Empty:
                return batch, True
            if event is None:
                return batch, False
            if isinstance(event, ProgressEvent) and isinstance(batch[-1], ProgressEvent):
                batch.pop()
            batch.append(event)
        return batch, True


def _characters(event: RunnerEvent) -> int:
    return len(event.text) if isinstance(event, LogEvent) else 0
