"""Processes forked by the warm parent, seen from whoever asked for them; they behave like `subprocess.Popen`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from axonlab_core.contract.errors import Unavailable
from axonlab_runner.zygote import ForkRequest

_ANSWER_S = 10.0
_ANSWER_BYTES = 4096


class ForkedProcess:
    """A process that the warm parent forked; closing the connection kills it."""

    def __init__(self, connection: socket.socket, number: int, streams: Sequence[IO[str] | None]) -> None:
        self._connection = connection
        self.pid = number
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
                answer = self._connection.recv(_ANSWER_BYTES)
            except (TimeoutError, BlockingIOError):
                return None
            # No answer: the parent itself is gone, and its children with it.
            end = json.loads(answer) if answer else {"status": -signal.SIGKILL, "peak_memory_bytes": 0}
            self.returncode = end["status"]
            self.peak_memory_bytes = end["peak_memory_bytes"]
            self._connection.close()
        return self.returncode


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
    try:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(parent))
        socket.send_fds(connection, [request.model_dump_json().encode() + b"\n"], list(streams))
        answer = b""
        while not answer.endswith(b"\n"):
            more = connection.recv(_ANSWER_BYTES)
            if not more:
                raise Unavailable("The warm parent hung up.")
            answer += more
    except OSError as error:
        connection.close()
        raise Unavailable(f"The warm parent does not answer ({error}).") from error
    return ForkedProcess(connection, json.loads(answer.splitlines()[0])["process"], files)


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
        os.fdopen(pairs[1][0], encoding="utf-8"),
        os.fdopen(pairs[2][0], encoding="utf-8"),
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
