"""A notebook run by the runner's own means, without a service: what several tests of the runner share."""

import threading

import nbformat
import psutil

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.jobs import TrainSpec
from axonlab_core.contract.runs import Claim, HeartbeatAnswer
from axonlab_runner.child import run_notebook
from axonlab_runner.watch import Watch


class AloneRun:
    """A run whose heartbeat is always answered well, after its time."""

    def __init__(self, wall_clock_s=60.0):
        self.claim = Claim(
            job_id="testtest",
            attempt=1,
            token="t",
            lease_s=30,
            heartbeat_s=0.2,
            owner="ana",
            spec=TrainSpec(dataset="0" * 64, steps=1),
            wall_clock_s=wall_clock_s,
        )
        self.over = threading.Event()

    def heartbeat(self, wait_s):
        self.over.wait(wait_s)
        return HeartbeatAnswer(lease_expires_at=utc_now())


def notebook(path, *cells, parameters="workspace = '.'\nname = ''"):
    book = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    book.cells = [first, *(nbformat.v4.new_code_cell(cell) for cell in cells)]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def environment_of(process):
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def run(tmp_path, warm_parent, *cells, parameters=None, wall_clock_s=60.0, grace_s=5.0, meanwhile=None, before=None):
    workspace = tmp_path / "workspace"
    (workspace / "results").mkdir(parents=True)
    job = AloneRun(wall_clock_s)
    events, logs = [], []

    def on_event(event):
        events.append(event)
        if meanwhile is not None:
            meanwhile(watch, event)

    try:
        with Watch(job) as watch:
            if before is not None:
                before(watch)
            outcome = run_notebook(
                notebook(tmp_path / "job.ipynb", *cells),
                parameters or {"workspace": "."},
                workspace,
                cores=1,
                device="cpu",
                warm_parent=warm_parent,
                watch=watch,
                grace_s=grace_s,
                on_event=on_event,
                on_log=lambda stream, text: logs.append((stream, text)),
            )
    finally:
        job.over.set()
    home = str(workspace / "home")
    left = [process for process in psutil.process_iter() if environment_of(process).get("HOME") == home]
    assert not left, f"left over: {left}"
    return outcome, events, logs, workspace
