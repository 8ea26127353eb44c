"""Checkpoints on their way out while the training goes on."""

from __future__ import annotations

import logging
import os
import queue
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
    """Uploads each checkpoint that the notebook announces; on the way out of `with`, the last ones too."""

    def __init__(self, run: Run, workspace: Path, report: Callable[[RunnerEvent], None]) -> None:
        self._run = run
        self._checkpoints = workspace / "checkpoints"
        self._outgoing = workspace / "outgoing"
        self._report = report
        self._queue: queue.SimpleQueue[tuple[CheckpointEvent, Path] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        """Start to upload."""
        self._outgoing.mkdir(exist_ok=True, mode=0o700)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Upload what is left and end."""
        self._queue.put(None)
        self._thread.join()

    def announce(self, event: CheckpointEvent) -> None:
        """The notebook has written a checkpoint. It keeps only two: hold on to this one until it is uploaded."""
        try:
            name = check_relative_path(event.file)
            held = self._outgoing / f"{event.step:08d}.safetensors"
            if not held.exists():
                os.link(self._checkpoints / name, held)
        except (ValueError, OSError) as error:
            logger.warning("checkpoint %r cannot be kept: %s", event.file, error)
            return
        self._queue.put((event, held))

    def _send(self) -> None:
        while (entry := self._queue.get()) is not None:
            event, held = entry
            try:
                file = FileBlob(path=event.file, **describe(held).model_dump())
                self._run.save_checkpoint(held, file)
            except AxonlabError as error:
                # The next one is due within a minute; the training must not suffer from this one.
                logger.warning("checkpoint of step %d was not uploaded: %s", event.step, error)
            else:
                self._report(event.model_copy(update={"sha256": file.sha256, "size_bytes": file.size_bytes}))
                logger.info("checkpoint of step %d uploaded", event.step)
            finally:
                held.unlink(missing_ok=True)
