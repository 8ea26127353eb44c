"""Keeps a warm parent (`zygote.py`) for a runner that does more than one job."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from axonlab_core.contract.kinds import Device
from axonlab_runner.child import scrubbed_environment

logger = logging.getLogger(__name__)

_END_S = 10.0


class WarmParent:
    """Starts the parent and knows whether it can be asked yet. Without it a job starts cold, and runs the same."""

    def __init__(self, folder: Path, *, cores: int, device: Device) -> None:
        self._folder = folder
        self._cores = cores
        self._device: Device = device
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()

    @property
    def socket(self) -> Path | None:
        """Where the parent listens; None while it cannot be asked."""
        process = self._process
        return self._path if process is not None and process.poll() is None and self._ready.is_set() else None

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether the parent can be asked, within `timeout_s` seconds."""
        return self._ready.wait(timeout_s)

    def ensure(self) -> None:
        """Start the parent, if there is none or it has died."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            logger.warning("the warm parent ended with status %s and is started again", self._process.returncode)
            self.close()
        self._ready.clear()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "axonlab_runner.zygote", str(self._path)],
            cwd=self._folder,
            env=scrubbed_environment(os.environ, self._folder, cores=self._cores, device=self._device),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._await_ready, args=(self._process,), name="warm-parent", daemon=True).start()

    def close(self) -> None:
        """End the parent and all that it has forked."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()  # its leash
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END_S)

    @property
    def _path(self) -> Path:
        return self._folder / "socket"

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 (a pipe)
        with process.stdout as lines:
            if lines.readline().strip() == b"ready":
                self._ready.set()
            lines.read()  # to its end
