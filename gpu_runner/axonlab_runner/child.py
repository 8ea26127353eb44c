"""The parent's side of a notebook's execution: starts the child process, follows it, stops it."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import PlatformError, Unavailable
from axonlab_core.contract.events import NotebookEvent, notebook_event
from axonlab_core.contract.kinds import Device
from axonlab_runner.forked import ForkedProcess, fork_with_pipes
from axonlab_runner.watch import Stop, Watch

logger = logging.getLogger(__name__)

# Jupyter interrupts every kernel before it shuts it down, and an idle one reports that as an error.
_AT_EVERY_END = "KeyboardInterrupt caught in kernel"
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")
_KEPT_PREFIXES = ("CUDA_",)
_END_S = 10.0


class Outcome(Value):
    """How the notebook ended."""

    status: str
    name: str = ""
    """Class of the exception that ended it."""
    message: str = ""
    traceback: str = ""
    peak_memory_bytes: int = 0
    kernel_status: int | None = None
    """Exit status of a kernel that ended by itself; that of a signal is negative."""


def scrubbed_environment(source: Mapping[str, str], workspace: Path, *, cores: int, device: Device) -> dict[str, str]:
    """What the child and its kernel may know: no token, no address, no home of ours.

    The rest are settings that were measured: OpenMP's threads sleep while they wait (a spinning pair collapses
    on busy cores) and glibc keeps freed memory for the next step.
    """
    environment = {name: value for name, value in source.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    home = workspace / "home"
    return environment | {
        "HOME": str(home),
        "TMPDIR": str(workspace / "tmp"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "JUPYTER_DATA_DIR": str(home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "OMP_NUM_THREADS": str(cores),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "MALLOC_MMAP_THRESHOLD_": "4294967295",
        "MALLOC_TRIM_THRESHOLD_": "34359738368",
        "MALLOC_TOP_PAD_": "268435456",
        "PYTHONUNBUFFERED": "1",
    }


def run_notebook(
    notebook: Path,
    parameters: dict[str, Any],
    workspace: Path,
    *,
    cores: int,
    device: Device,
    warm_parent: Path | None,
    watch: Watch,
    grace_s: float,
    on_event: Callable[[NotebookEvent], None],
    on_log: Callable[[str, str], None],
) -> Outcome:
    """How `notebook` ended, executed in a child process whose working folder is `workspace`.

    A wish to stop interrupts the kernel, so that it can leave a checkpoint; after `grace_s` seconds it is killed.
    Whatever happens, no process is left over.

    Raises
    ------
    PlatformError
        If the child ends without saying how.
    """
    for folder in ("home", "tmp"):
        (workspace / folder).mkdir(mode=0o700, exist_ok=True)
    child = _Child(
        workspace,
        environment=scrubbed_environment(os.environ, workspace, cores=cores, device=device),
        warm_parent=warm_parent,
        watch=watch,
        grace_s=grace_s,
    )
    try:
        task = {"notebook": str(notebook), "report": "results/executed.ipynb", "parameters": parameters}
        return child.follow(task, on_event, on_log)
    finally:
        child.end()


class _Child:
    """The process and what it says; everything arrives in one queue, so that nothing has to be polled."""

    def __init__(
        self,
        workspace: Path,
        *,
        environment: dict[str, str],
        warm_parent: Path | None,
        watch: Watch,
        grace_s: float,
    ) -> None:
        self._process = _start(workspace, environment, warm_parent)
        # Who was started cold starts a cold kernel, too: the parent has just not answered.
        self._warm_parent = warm_parent if isinstance(self._process, ForkedProcess) else None
        self._watch = watch
        self._grace_s = grace_s
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._kill_at: float | None = None
        # Both know when their process was started: its number, used again by somebody else's, is not mistaken.
        self._head = _running(self._process.pid)
        self._kernel: psutil.Process | None = None
        self._home = environment["HOME"]
        self._outcome: Outcome | None = None
        self._errors: collections.deque[str] = collections.deque(maxlen=20)
        self._ended = False
        self._readers = [
            threading.Thread(target=self._read_line, name="child-line", daemon=True),
            threading.Thread(target=self._read_errors, name="child-errors", daemon=True),
        ]

    def follow(
        self,
        task: dict[str, Any],
        on_event: Callable[[NotebookEvent], None],
        on_log: Callable[[str, str], None],
    ) -> Outcome:
        for reader in self._readers:
            reader.start()
        self._tell(json.dumps({**task, "warm_parent": self._warm_parent and str(self._warm_parent)}))
        self._watch.listen(lambda stop: self._inbox.put(("stop", stop)))
        while not self._ended:
            kind, content = self._next()
            if kind == "event":
                on_event(notebook_event.validate_python(content))
            elif kind == "log":
                on_log(content["stream"], content["text"])
            elif kind == "errors":
                on_log("runner", content)
            else:
                self._take_note(kind, content)
        if self._outcome is not None:
            return self._outcome
        self._watch.check()
        status = self._process.wait(timeout=_END_S)
        raise PlatformError(f"The notebook's process ended with {status}: {''.join(self._errors)[-1000:].strip()}")

    def _take_note(self, kind: str, content: Any) -> None:
        match kind:
            case "kernel":
                self._kernel = _running(content)
            case "outcome":
                self._outcome = Outcome.model_validate(content)
            case "stop":
                self._stop(content)
            case "end":
                self._ended = True
            case _:
                raise PlatformError(f"The notebook's process said {kind!r}, which means nothing here.")

    def end(self) -> None:
        """Kill the child, its kernel and everything that they started, and wait until it is gone."""
        victims = {process for head in (self._head, self._kernel) for process in _family(head)}
        victims |= set(_at_home(self._home))
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
                victim.kill()
        self._process.wait(timeout=_END_S)
        psutil.wait_procs(list(victims), timeout=_END_S)
        for reader in self._readers:
            reader.join(timeout=_END_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # an unread word to a process that is gone
                    pipe.close()

    def _next(self) -> tuple[str, Any]:
        limit = self._kill_at if self._kill_at is not None else self._watch.deadline
        try:
            return self._inbox.get(timeout=max(0.0, limit - time.monotonic()))
        except queue.Empty:
            if self._kill_at is None:
                self._watch.ask(Stop.timeout)  # comes back to us as a "stop"
                return self._inbox.get(timeout=_END_S)
            logger.warning("the kernel did not stop within %.0f s and is killed", self._grace_s)
            self.end()
            self._kill_at = time.monotonic() + _END_S
            return self._inbox.get(timeout=_END_S)

    def _stop(self, stop: Stop) -> None:
        grace_s = 0.0 if stop is Stop.fenced else self._grace_s  # a fenced run has nothing left to save
        if self._kill_at is None:
            self._tell("stop")
            self._kill_at = time.monotonic() + grace_s
        else:
            self._kill_at = min(self._kill_at, time.monotonic() + grace_s)

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 (a pipe)
        try:
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            logger.info("the notebook's process has ended already")

    def _read_line(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (a pipe)
        try:
            for line in self._process.stdout:
                self._inbox.put(next(iter(json.loads(line).items())))
        except ValueError as error:  # it was killed in the middle of a line
            self._errors.append(f"its last line was cut off ({error})\n")
        finally:
            self._inbox.put(("end", None))

    def _read_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 (a pipe)
        for line in self._process.stderr:
            if _AT_EVERY_END in line:
                continue
            self._errors.append(line)
            self._inbox.put(("errors", line))


def _start(
    workspace: Path, environment: dict[str, str], warm_parent: Path | None
) -> subprocess.Popen[str] | ForkedProcess:
    """The child, forked from the warm parent if there is one, else started cold."""
    if warm_parent is not None:
        try:
            return fork_with_pipes(warm_parent, "execute", environment=environment, folder=workspace)
        except Unavailable as error:
            logger.warning("%s The job starts cold.", error)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "axonlab_runner.execute"],
        cwd=workspace,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        bufsize=1,
        start_new_session=True,
    )


def _running(process_id: int) -> psutil.Process | None:
    try:
        return psutil.Process(process_id)
    except psutil.NoSuchProcess:
        return None


def _family(head: psutil.Process | None) -> list[psutil.Process]:
    """A process and everything below it, if it is still the one that it was."""
    if head is None or not head.is_running():
        return []
    try:
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _at_home(home: str) -> Iterator[psutil.Process]:
    """Every process whose home is this run's: also those whose parents are gone."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == home and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
