"""Checkpoints on their way out while the training goes on."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from axonlab_core.backends.transfer import describe
from axonlab_core.contract.errors import AxonlabError
from axonlab_core.contract.events import CheckpointEvent, RunnerEvent
from axonlab_core.contract.keys import check_relative_path
from axonlab_core.contract.tickets import FileBlob
from axonlab_runner.source import Run

logger = logging.getLogger(__name__)


class CheckpointUploads:
    """Uploads the newest checkpoint that the notebook has announced, from `with` to its end.

    Where the way is slow, older ones that are still waiting are passed over: they are of no use any more.
    """

    def __init__(self, run: Run, workspace: Path, report: Callable[[RunnerEvent], None]) -> None:
        self._run = run
        self._checkpoints = workspace / "checkpoints"
        self._outgoing = workspace / "outgoing"
        self._report = report
        self._changed = threading.Condition()
        self._waiting: tuple[CheckpointEvent, Path] | None = None
        self._over = False
        self._thread = threading.Thread(target=self._send, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        """Start to upload."""
        self._outgoing.mkdir(exist_ok=True, mode=0o700)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Upload the one that waits, unless it was passed over, and end."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()

    def announce(self, event: CheckpointEvent) -> None:
        """The notebook has written a checkpoint. It keeps only two: hold on to this one until it is uploaded."""
        try:
            source = self._checkpoints / check_relative_path(event.file)
            held = self._outgoing / f"{event.step:08d}.safetensors"
            held.unlink(missing_ok=True)
            os.link(source, held, follow_symlinks=False)
        except (ValueError, OSError) as error:
            logger.warning("checkpoint %r cannot be kept: %s", event.file, error)
            return
        with self._changed:
            self._drop_waiting()
            self._waiting = (event, held)
            self._changed.notify()

    def pass_over(self) -> None:
        """The work is done: what waits is of no use any more."""
        with self._changed:
            self._drop_waiting()

    def _drop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting[1].unlink(missing_ok=True)
            self._waiting = None

    def _send(self) -> None:
        while (entry := self._next()) is not None:
            event, held = entry
            try:
                file = FileBlob(path=event.file, **describe(held, follow=False).model_dump())
                self._run.save_checkpoint(held, file)
                held.unlink()
            except (AxonlabError, OSError) as error:
                # The next one is due within a minute; the training must not suffer from this one.
                logger.warning("checkpoint of step %d was not uploaded: %s", event.step, error)
            else:
                self._report(event.model_copy(update={"sha256": file.sha256, "size_bytes": file.size_bytes}))
                logger.info("checkpoint of step %d uploaded", event.step)

    def _next(self) -> tuple[CheckpointEvent, Path] | None:
        with self._changed:
            while self._waiting is None and not self._over:
                self._changed.wait()
            entry, self._waiting = self._waiting, None
            return entry
