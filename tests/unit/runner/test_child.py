"""A notebook in a child process, with real papermill and a real kernel."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from axonlab_core.contract.events import ProgressEvent
from axonlab_runner.child import run_notebook, scrubbed_environment
from axonlab_runner.warmth import WarmParent
from axonlab_runner.watch import Stop, Watch
from lone_notebook import AloneRun, notebook, run


@pytest.fixture(params=["cold", "warm"])
def start(request):
    """Each test runs in a process that was started, and in one that was forked."""
    return request.getfixturevalue("warm_parent").socket if request.param == "warm" else None


def _parent_of(socket):
    return next(p for p in psutil.Process().children() if str(socket) in p.cmdline())


def test_what_the_notebook_displays_arrives_and_its_report_is_kept(tmp_path, start):
    cell = """
from IPython.display import display
display({"application/vnd.axonlab.event+json": {"type": "progress", "done": 3, "total": 7}}, raw=True)
print("hello", name)
"""
    outcome, events, logs, workspace = run(tmp_path, start, cell, parameters={"workspace": ".", "name": "ana"})
    assert outcome.status == "ok"
    assert events == [ProgressEvent(done=3, total=7)]
    assert ("stdout", "hello ana\n") in logs
    assert not any("KeyboardInterrupt" in text for _, text in logs), "nothing in a log that would alarm anybody"
    assert outcome.peak_memory_bytes > 10_000_000
    report = (workspace / "results" / "executed.ipynb").read_text()
    assert "hello ana" in report
    assert "vnd.axonlab" not in json.dumps([cell["outputs"] for cell in json.loads(report)["cells"]])


def test_the_kernel_sees_no_token_no_link_and_no_address(tmp_path, start, monkeypatch):
    secrets = {
        "JUPYTERHUB_API_TOKEN": "tok-1",
        "AXONLAB_SERVICE_URL": "http://service",
        "AXONLAB_RUNNER_TOKEN_FILE": "/tok-2",
        "AZURE_STORAGE_KEY": "tok-3",
        "HOME": "/home/tok-4",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    cell = """
import os, json, pathlib
def environment(pid):
    return pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
print(json.dumps([dict(os.environ), environment(os.getpid()), environment(os.getppid())]))
"""
    _, _, logs, workspace = run(tmp_path, start, cell)
    seen = "".join(text for stream, text in logs if stream == "stdout")
    assert "OMP_NUM_THREADS" in seen
    for value in secrets.values():
        assert value not in seen
    assert str(workspace) in json.loads(seen)[0]["HOME"]


def test_an_error_comes_back_by_name_and_message(tmp_path, start):
    outcome, _, _, workspace = run(tmp_path, start, "raise ValueError('the sky is green')")
    assert (outcome.status, outcome.name, outcome.message) == ("error", "ValueError", "the sky is green")
    assert "ValueError" in outcome.traceback
    assert (workspace / "results" / "executed.ipynb").is_file()


def test_a_parameter_that_the_notebook_does_not_declare_is_refused(tmp_path, start):
    outcome, _, _, _ = run(tmp_path, start, "1/0", parameters={"workspace": ".", "nmae": 1})
    assert outcome.name == "BadInput"
    assert "nmae" in outcome.message
    assert "name" in outcome.message


def test_a_killed_kernel_is_told_from_a_finished_one(tmp_path, start):
    outcome, _, _, _ = run(tmp_path, start, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert (outcome.status, outcome.name) == ("error", "DeadKernelError")


STRAY = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session={session})
{end}
"""


@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("end", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_what_the_notebook_started_goes_with_it(tmp_path, start, session, end):
    run(tmp_path, start, STRAY.format(session=session, end=end))  # which looks for what is left over


def test_a_process_that_prints_nonsense_does_not_stop_the_run(tmp_path, start):
    outcome, _, logs, _ = run(tmp_path, start, "import os; os.write(2, b'\\xff\\xfe\\n' * 40_000); print('\\ud800')")
    assert outcome.status == "ok"
    assert any(stream == "runner" for stream, _ in logs)


WAITING = """
import signal, threading, time
from IPython.display import display
asked = threading.Event()
signal.signal(signal.SIGINT, {handler})
display({{"application/vnd.axonlab.event+json": {{"type": "progress", "done": 0, "total": 1}}}}, raw=True)
while not asked.wait(0.05):
    pass
print("wound up")
"""


def test_a_wish_to_stop_lets_the_kernel_wind_up(tmp_path, start):
    begun = time.monotonic()
    outcome, _, logs, _ = run(
        tmp_path,
        start,
        WAITING.format(handler="lambda *_: asked.set()"),
        meanwhile=lambda watch, _: watch.ask(Stop.cancelled),
        grace_s=30,
    )
    assert outcome.status == "ok"
    assert ("stdout", "wound up\n") in logs
    assert time.monotonic() - begun < 30


def test_a_wish_from_before_the_kernel_began_is_not_forgotten(tmp_path, start):
    begun = time.monotonic()
    outcome, _, logs, _ = run(
        tmp_path,
        start,
        "import time; print('began'); time.sleep(60)",
        before=lambda watch: watch.ask(Stop.cancelled),
        grace_s=60,
    )
    assert outcome.status == "error"
    assert ("stdout", "began\n") not in logs, "no cell is begun"
    assert time.monotonic() - begun < 60


def test_a_kernel_that_ignores_the_wish_is_killed_after_the_grace(tmp_path, start):
    from axonlab_runner.watch import Stopped

    with pytest.raises(Stopped) as stopped:
        run(
            tmp_path,
            start,
            WAITING.format(handler="signal.SIG_IGN"),
            meanwhile=lambda watch, _: watch.ask(Stop.cancelled),
            grace_s=0.5,
        )
    assert stopped.value.stop is Stop.cancelled


def test_the_wall_clock_ends_a_run(tmp_path, start):
    from axonlab_runner.watch import Stopped

    with pytest.raises(Stopped) as stopped:
        run(tmp_path, start, WAITING.format(handler="signal.SIG_IGN"), wall_clock_s=4, grace_s=0.2)
    assert stopped.value.stop is Stop.timeout


def test_when_the_runner_is_killed_its_kernel_goes_too(tmp_path):
    (tmp_path / "results").mkdir()
    book = notebook(tmp_path / "job.ipynb", "import time\nwhile True: time.sleep(1)")
    child = subprocess.Popen(
        [sys.executable, "-m", "axonlab_runner.execute"],
        cwd=tmp_path,
        env=scrubbed_environment(os.environ, tmp_path, cores=1, device="cpu"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    task = {"notebook": str(book), "report": "results/executed.ipynb", "parameters": {"workspace": "."}}
    child.stdin.write(json.dumps(task) + "\n")
    child.stdin.flush()
    kernel = psutil.Process(json.loads(child.stdout.readline())["kernel"])
    child.stdin.close()  # what the child sees when its runner is killed
    assert child.wait(timeout=20) == 1
    child.stdout.close()
    psutil.wait_procs([kernel], timeout=20)
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE


def test_the_environment_keeps_what_a_gpu_needs():
    source = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1", "LD_LIBRARY_PATH": "/x", "SECRET": "s"}
    from pathlib import Path

    kept = scrubbed_environment(source, Path("/w"), cores=3, device="cuda")
    assert kept["CUDA_VISIBLE_DEVICES"] == "1"
    assert kept["OMP_NUM_THREADS"] == "3"
    assert "SECRET" not in kept
    assert scrubbed_environment(source, Path("/w"), cores=3, device="cpu")["CUDA_VISIBLE_DEVICES"] == ""


def test_when_the_warm_parent_dies_the_next_job_starts_cold_and_the_parent_is_started_again(tmp_path):
    parent = WarmParent(tmp_path / "parent", cores=1, device="cpu")
    parent.ensure()
    assert parent.wait_ready(60)
    socket = parent.socket
    process = _parent_of(socket)
    process.kill()
    psutil.wait_procs([process], timeout=10)
    assert parent.socket is None
    assert run_after(tmp_path, socket).status == "ok"
    parent.ensure()
    assert parent.wait_ready(60)
    parent.close()


def run_after(tmp_path, dead_socket):
    job = AloneRun()
    workspace = tmp_path / "workspace"
    (workspace / "results").mkdir(parents=True)
    with Watch(job) as watch:
        outcome = run_notebook(
            notebook(tmp_path / "job.ipynb", "print(1)"),
            {"workspace": "."},
            workspace,
            cores=1,
            device="cpu",
            warm_parent=dead_socket,
            watch=watch,
            grace_s=5,
            on_event=lambda _: None,
            on_log=lambda *_: None,
        )
    job.over.set()
    return outcome


@pytest.fixture
def importing(tmp_path):
    """A warm parent that has just been started, its process, and the watch of a run that wants it."""
    others = set(psutil.Process().children())
    parent = WarmParent(tmp_path / "parent", cores=1, device="cpu")
    job = AloneRun()
    try:
        with Watch(job) as watch:
            parent.ensure()
            (process,) = set(psutil.Process().children()) - others
            yield parent, process, watch
    finally:
        job.over.set()
        parent.close()


def test_a_job_waits_for_a_parent_that_is_importing(importing):
    parent, _, watch = importing
    socket = parent.await_socket(watch)
    assert socket is not None
    assert socket.is_socket()


def test_a_job_does_not_wait_for_a_parent_that_ends(importing):
    parent, process, watch = importing
    process.kill()
    assert parent.await_socket(watch) is None


def test_a_job_that_is_stopped_does_not_wait_for_its_parent(importing):
    parent, _, watch = importing
    watch.ask(Stop.cancelled)
    assert parent.await_socket(watch) is None
    assert not parent.wait_ready(0)


def test_a_forked_job_imports_nothing_more_to_train(tmp_path, warm_parent):
    """The first optimiser imports torch's compiler, a second's work, which the parent has to have done."""
    cell = """
import sys
before = set(sys.modules)
from axonlab_core.learning import train
train.torch.optim.AdamW(train.new_unet(1, 3, (4, 8), 0).parameters())
import numpy
from axonlab_core.imaging.canonical import decode, encode
decode(encode(numpy.zeros((300, 300), "uint8")))
print(sorted(set(sys.modules) - before))
"""
    outcome, _, logs, _ = run(tmp_path, warm_parent.socket, cell)
    assert outcome.status == "ok"
    assert [text.strip() for stream, text in logs if stream == "stdout"] == ["[]"]


def test_the_warm_parent_goes_with_its_runner(tmp_path):
    parent = WarmParent(tmp_path / "parent", cores=1, device="cpu")
    parent.ensure()
    assert parent.wait_ready(60)
    process = _parent_of(parent.socket)
    parent.close()
    _, alive = psutil.wait_procs([process], timeout=10)
    assert not alive
