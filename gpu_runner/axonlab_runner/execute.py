"""The child process: papermill on one job notebook. Run as `python -m axonlab_runner.execute`, by `child.py`.

It holds no token and knows no service. Its standard input is the leash: a line `stop` interrupts the kernel,
the end of input (the runner is gone, however) kills it. Its standard output is one JSON object a line: what the
notebook says, then the outcome. The outcome comes from what was raised, never from the notebook's own metadata.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

# An optional part of jsonschema's format checkers, which nothing here uses and which takes 1.4 s to import.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type] (None: importing it fails at once)

import papermill
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.parameterize import parameterize_path
from pydantic import ValidationError

from axonlab_core.contract.errors import PlatformError
from axonlab_core.contract.events import EVENT_MIME, notebook_event
from axonlab_runner.forked import ForkedProcess

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 120
_PAUSES_S = (3.0, 6.0, 12.0, 24.0)
_MAX_PRINTED_CHARACTERS = 2_000_000
_ENGINE = "axonlab"


class Line:
    """The line to the runner: JSON objects on what was standard output."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, kind: str, content: Any) -> None:
        """Say one thing."""
        with self._lock:
            self._file.write(json.dumps({kind: content}) + "\n")
            self._file.flush()


class Leash(threading.Thread):
    """Follows standard input and passes on to the kernel what the runner wants."""

    def __init__(self) -> None:
        super().__init__(name="leash", daemon=True)
        self._lock = threading.Lock()
        self._kernel: int | None = None
        self._over = threading.Event()
        self.stopping = False
        """Whether the kernel was asked to stop."""

    def hold(self, kernel: int) -> None:
        """`kernel` is the process to stop from now on."""
        with self._lock:
            self._kernel = kernel

    def run(self) -> None:
        """Follow standard input to its end."""
        for line in sys.stdin:
            if line.strip() == "stop" and not self.stopping:
                self.stopping = True
                threading.Thread(target=self._insist, name="insist", daemon=True).start()
        self._over.set()
        self._signal(signal.SIGKILL)
        os._exit(1)  # nobody is left to tell

    def _insist(self) -> None:
        # A kernel that is starting, or between two cells, forgets an interrupt; one that winds up has no use for many.
        for pause_s in _PAUSES_S:
            self._signal(signal.SIGINT)
            if self._over.wait(pause_s):
                return

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            kernel = self._kernel
        if kernel is None:
            return
        try:
            # The kernel leads a process group of its own; what it started goes with it.
            os.killpg(kernel, number)
        except ProcessLookupError:
            logger.info("the kernel has ended already")


class _Client(PapermillNotebookClient):
    """Papermill's client, which passes on what the notebook displays under our MIME type and what it prints."""

    line: Line
    leash: Leash
    warm_parent: Path | None
    process: ForkedProcess | subprocess.Popen[bytes] | None = None
    printed = 0

    def create_kernel_manager(self) -> Any:
        manager = super().create_kernel_manager()
        manager.transport_encryption = "auto"  # other users of the machine must not read along on loopback
        if self.warm_parent is not None:
            from axonlab_runner.provisioner import WarmProvisioner  # noqa: PLC0415 (a cold start does without)

            manager.kernel_id = uuid.uuid4().hex
            manager.provisioner = WarmProvisioner(
                kernel_id=manager.kernel_id,
                kernel_spec=manager.kernel_spec,
                parent=manager,
                parent_socket=str(self.warm_parent),
            )
        return manager

    def start_new_kernel(self, **kwargs: Any) -> None:  # type: ignore[override] (a wrapped coroutine in nbclient)
        super().start_new_kernel(**kwargs)
        provisioner = getattr(self.km, "provisioner", None)
        if not isinstance(provisioner, LocalProvisioner) or provisioner.pid is None:
            raise PlatformError("The kernel is not a process of this machine, so it could not be stopped.")
        self.process = provisioner.process  # Jupyter forgets it when it has ended
        self.line.send("kernel", provisioner.pid)
        self.leash.hold(provisioner.pid)
        self.on_cell_start = self._check_leash

    def _check_leash(self, **_: Any) -> None:
        if self.leash.stopping:
            raise DeadKernelError("no further cell is begun: the run was asked to stop")

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        content = msg["content"]
        if msg["msg_type"] == "stream":
            self.printed += len(content["text"])
            if self.printed > _MAX_PRINTED_CHARACTERS:
                return None
            self.line.send("log", {"stream": content["name"], "text": content["text"]})
        data = content.get("data")
        if isinstance(data, dict) and EVENT_MIME in data:
            try:
                event = notebook_event.validate_python(data[EVENT_MIME])
            except ValidationError as error:
                logger.warning("the notebook displayed an event that makes no sense: %s", error)
            else:
                self.line.send("event", event.model_dump(mode="json"))
            return None  # progress belongs into the stream of events, not into the report
        return super().process_message(msg, cell, cell_index)


class _Engine(NBClientEngine):
    """Papermill's engine with our client."""

    line: Line
    leash: Leash
    warm_parent: Path | None
    process: ForkedProcess | subprocess.Popen[bytes] | None = None
    """The kernel's, once there is one."""

    @classmethod
    def execute_managed_notebook(  # type: ignore[override]
        cls, nb_man: Any, kernel_name: str, *, start_timeout: int = START_TIMEOUT_S, **kwargs: Any
    ) -> None:
        client = _Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, log_output=False)
        client.line, client.leash, client.warm_parent = cls.line, cls.leash, cls.warm_parent
        del kwargs
        try:
            client.execute()
        finally:
            cls.process = client.process


def _undeclared(notebook: Path, parameters: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Parameters that the notebook does not declare, and those that it does."""
    declared = list(papermill.inspect_notebook(notebook))
    return sorted(set(parameters) - set(declared)), declared


def _outcome(notebook: Path, report: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Execute `notebook` and tell how it ended."""
    foreign, declared = _undeclared(notebook, parameters)
    if foreign:
        return {
            "status": "error",
            "name": "BadInput",
            "message": f"The job's notebook has no parameter {', '.join(foreign)}; it has {', '.join(declared)}.",
        }
    try:
        papermill.execute_notebook(
            notebook,
            report,
            parameters=parameters,
            engine_name=_ENGINE,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            start_timeout=START_TIMEOUT_S,
        )
    except PapermillExecutionError as error:
        trace = "\n".join(error.traceback)
        return {"status": "error", "name": error.ename, "message": error.evalue, "traceback": trace[-20_000:]}
    except DeadKernelError:
        status = _Engine.process.poll() if _Engine.process is not None else None
        return {
            "status": "error",
            "name": "DeadKernelError",
            "message": f"The kernel died with status {status}.",
            "kernel_status": status,
        }
    return {"status": "ok"}


def main() -> None:
    """Read the task (one JSON line) from standard input and carry it out."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    line = Line(os.dup(1))
    os.dup2(2, 1)  # whatever prints by accident must not get into the line
    task = json.loads(sys.stdin.readline())
    report = Path(task["report"])
    if parameterize_path(str(report), task["parameters"]) != str(report):
        line.send("outcome", {"status": "error", "name": "BadInput", "message": f"{report} holds braces."})
        return
    _Engine.line, _Engine.leash = line, Leash()
    _Engine.warm_parent = Path(task["warm_parent"]) if task.get("warm_parent") else None
    papermill_engines.register(_ENGINE, _Engine)
    _Engine.leash.start()
    outcome = _outcome(Path(task["notebook"]), report, task["parameters"])
    # Linux counts ru_maxrss in KiB. A kernel that was started is our child; one that was forked is its parent's.
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    forked = _Engine.process.peak_memory_bytes if isinstance(_Engine.process, ForkedProcess) else 0
    outcome["peak_memory_bytes"] = max(children, forked)
    line.send("outcome", outcome)


if __name__ == "__main__":
    main()
