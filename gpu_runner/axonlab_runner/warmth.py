"""Keeps a warm parent (`zygote.py`) for a runner that does more than one job."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from axonlab_core.contract.kinds import Device
from axonlab_runner.child import scrubbed_environment
from axonlab_runner.watch import Watch

logger = logging.getLogger(__name__)

_END_S = 10.0
_TRIALS = 3
"""So often a parent is started that does not even get ready; then jobs start cold."""
_PATIENCE_S = 30.0
"""For how long a job waits for a parent that is importing. A cold start would import the same, beside it."""


class WarmParent:
    """Starts the parent and knows whether it can be asked yet. Without it a job starts cold, and runs the same."""

    def __init__(self, folder: Path, *, cores: int, device: Device) -> None:
        self._folder = folder
        self._cores = cores
        self._device: Device = device
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()
        self._failures = 0
        self._lock = threading.Lock()
        self._waiting: list[queue.SimpleQueue[object]] = []
        # A socket's path may have 107 bytes only, and a working folder may be anywhere.
        self._socket_folder = tempfile.TemporaryDirectory(prefix="axonlab-")

    @property
    def socket(self) -> Path | None:
        """Where the parent listens; None while it cannot be asked."""
        process = self._process
        return self._path if process is not None and process.poll() is None and self._ready.is_set() else None

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether the parent can be asked, within `timeout_s` seconds."""
        return self._ready.wait(timeout_s)

    def await_socket(self, watch: Watch) -> Path | None:
        """Where the parent listens, waiting while it is getting ready; None if a job should rather start cold.

        Not waited any longer when the run has to end.
        """
        bell: queue.SimpleQueue[object] = queue.SimpleQueue()  # the one thing that a signal handler may ring
        watch.listen(bell.put)
        with self._lock:
            process = self._process
            importing = process is not None and process.poll() is None and not self._ready.is_set()
            if importing:
                self._waiting.append(bell)
        if importing:
            with contextlib.suppress(queue.Empty):
                bell.get(timeout=_PATIENCE_S)
        return self.socket

    def ensure(self) -> None:
        """Start the parent, if there is none or it has died."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            self._failures = 0 if self._ready.is_set() else self._failures + 1
            logger.warning("the warm parent ended with status %s", self._process.returncode)
            self._end()
        if self._failures >= _TRIALS:
            return
        self._ready.clear()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "axonlab_runner.zygote", str(self._path)],
            cwd=self._folder,
            env=scrubbed_environment(os.environ, self._folder, cores=self._cores, device=self._device),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._await_ready, args=(self._process,), name="warm-parent", daemon=True).start()

    def close(self) -> None:
        """End the parent and all that it has forked."""
        self._end()
        self._socket_folder.cleanup()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if not self._ready.is_set():
            process.kill()  # it is importing, and has no children yet
        if process.stdin is not None:
            process.stdin.close()  # its leash
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END_S)

    @property
    def _path(self) -> Path:
        return Path(self._socket_folder.name) / "socket"

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 (a pipe)
        with process.stdout as lines:
            if lines.readline().strip() == b"ready":
                self._ready.set()
            else:
                process.wait()  # whoever is told below must see that it has ended
            with self._lock:
                bells, self._waiting = self._waiting, []
            for bell in bells:
                bell.put(None)
            lines.read()  # to its end
