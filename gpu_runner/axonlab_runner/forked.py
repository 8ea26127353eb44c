"""Processes forked by the warm parent, seen from whoever asked for them; they behave like `subprocess.Popen`."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from axonlab_core.contract.errors import Unavailable
from axonlab_runner.zygote import ForkRequest

logger = logging.getLogger(__name__)

_ANSWER_S = 10.0
_ANSWER_BYTES = 4096


class ForkedProcess:
    """A process that the warm parent forked; closing the connection kills it."""

    def __init__(self, connection: socket.socket, answer: bytes, streams: Sequence[IO[str] | None]) -> None:
        first, _, self._answer = answer.partition(b"\n")
        self._connection = connection
        self.pid: int = json.loads(first)["process"]
        self.stdin, self.stdout, self.stderr = streams
        self.returncode: int | None = None
        self.peak_memory_bytes = 0
        """Known once it has ended."""

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            If it has not within `timeout` seconds.
        """
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None:
            self._connection.settimeout(timeout_s)
            try:
                while not self._answer.endswith(b"\n") and (more := self._connection.recv(_ANSWER_BYTES)):
                    self._answer += more
            except (TimeoutError, BlockingIOError):
                return None
            except ConnectionResetError:
                logger.warning("the warm parent of process %d is gone", self.pid)
            self._note_end()
        return self.returncode

    def _note_end(self) -> None:
        self._connection.close()
        if self._answer:
            end = json.loads(self._answer)
            self.returncode, self.peak_memory_bytes = end["status"], end["peak_memory_bytes"]
            return
        # The parent itself was killed. Its child may go on, and has nobody who would tell of its end.
        self.returncode = -signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            os.killpg(self.pid, signal.SIGKILL)


def fork(
    parent: Path,
    what: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str],
    folder: Path,
    streams: Sequence[int],
    files: Sequence[IO[str] | None] = (None, None, None),
) -> ForkedProcess:
    """A process forked by the parent that listens at `parent`.

    Parameters
    ----------
    streams : three file descriptors
        Its standard streams; they stay open here.
    files : three files
        Our ends of them, where there are any.

    Raises
    ------
    Unavailable
        If the parent does not answer.
    """
    request = ForkRequest(what=what, arguments=tuple(arguments), environment=dict(environment), folder=str(folder))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    answer = b""
    try:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(parent))
        socket.send_fds(connection, [request.model_dump_json().encode() + b"\n"], list(streams))
        while b"\n" not in answer and (more := connection.recv(_ANSWER_BYTES)):
            answer += more
    except OSError as error:
        connection.close()
        raise Unavailable(f"The warm parent does not answer ({error}).") from error
    if b"\n" not in answer:
        connection.close()
        raise Unavailable("The warm parent hung up.")
    return ForkedProcess(connection, answer, files)


def fork_with_pipes(parent: Path, what: str, *, environment: Mapping[str, str], folder: Path) -> ForkedProcess:
    """A forked process whose standard streams are pipes of ours, as text.

    Raises
    ------
    Unavailable
        If the parent does not answer.
    """
    pairs = [os.pipe() for _ in range(3)]
    theirs = (pairs[0][0], pairs[1][1], pairs[2][1])
    ours = (
        os.fdopen(pairs[0][1], "w", buffering=1, encoding="utf-8"),
        os.fdopen(pairs[1][0], encoding="utf-8", errors="replace"),
        os.fdopen(pairs[2][0], encoding="utf-8", errors="replace"),
    )
    try:
        return fork(parent, what, environment=environment, folder=folder, streams=theirs, files=ours)
    except Unavailable:
        for file in ours:
            file.close()
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
