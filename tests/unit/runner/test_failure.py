"""Why notebooks fail, with real kernels: memory that runs out, and kernels that others kill."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from axonlab_core.contract.states import Reason
from axonlab_runner import cgroup
from axonlab_runner.child import Outcome
from axonlab_runner.failure import Memory, NotebookFailed
from lone_notebook import run

_LIMIT_BYTES = 700 * 2**20
_PETABYTE = 10**15


@pytest.mark.parametrize(
    "cell",
    [
        f"bytearray({_PETABYTE})",
        f"import numpy; numpy.zeros({_PETABYTE})",
        f"import torch; torch.empty({_PETABYTE})",
    ],
)
def test_an_allocation_that_fails_is_too_little_memory(tmp_path, warm_parent, cell):
    memory = Memory.now()
    outcome, *_ = run(tmp_path, warm_parent.socket, cell)
    failed = NotebookFailed(outcome, memory)
    assert failed.reason is Reason.out_of_memory
    assert f"{memory.free_bytes / 2**30:.1f} GiB were free" in failed.message
    assert "smaller" in failed.remedy


def test_a_kernel_that_somebody_kills_is_no_doing_of_its_owner(tmp_path, warm_parent):
    outcome, *_ = run(tmp_path, warm_parent.socket, "import os; os.kill(os.getpid(), 9)")
    assert outcome.kernel_status == -signal.SIGKILL
    assert outcome.peak_memory_bytes > 0
    assert NotebookFailed(outcome, Memory.now()).reason is Reason.platform


def test_memory_that_others_took_is_no_doing_of_its_owner():
    small = Outcome(status="error", name="DeadKernelError", kernel_status=-9, peak_memory_bytes=2**28)
    large = small.model_copy(update={"peak_memory_bytes": 7 * 2**30})
    before = Memory(free_bytes=8 * 2**30, kills=(cgroup.memory_kills() or 0) - 1)
    assert NotebookFailed(small, before).reason is Reason.platform
    assert NotebookFailed(large, before).reason is Reason.out_of_memory
    # Nothing was killed for memory meanwhile: whoever sent that signal had another reason.
    unchanged = before._replace(kills=cgroup.memory_kills())
    if unchanged.kills is not None:
        assert NotebookFailed(large, unchanged).reason is Reason.platform


@contextmanager
def _group_with_a_limit():
    """A control group of our own whose processes may use little memory together."""
    for top, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        folder = top / f"axonlab-test-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / limit).write_text(str(_LIMIT_BYTES))
        except OSError:
            if folder.is_dir():
                folder.rmdir()
            continue
        try:
            yield folder
        finally:
            folder.rmdir()
        return
    pytest.skip("this test may not make control groups with a memory limit here")


_IN_GROUP = """
import json, os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from axonlab_runner.failure import Memory, NotebookFailed
from lone_notebook import run
memory = Memory.now()
outcome, *_ = run(Path(sys.argv[2]), None, "kept = []\\nwhile True: kept.append(b'x' * 2**24)")
failed = NotebookFailed(outcome, memory)
print(json.dumps([memory.free_bytes, outcome.model_dump(), failed.reason, failed.message]))
"""


def test_a_kernel_that_uses_up_its_container_is_told_so_with_numbers(tmp_path):
    with _group_with_a_limit() as group:
        ended = subprocess.run(
            [sys.executable, "-c", _IN_GROUP, str(group), str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    free_bytes, outcome, reason, message = json.loads(ended.stdout.splitlines()[-1])
    assert 0.5 * _LIMIT_BYTES < free_bytes < _LIMIT_BYTES, "the container's limit, not the machine's memory"
    assert outcome["kernel_status"] == -signal.SIGKILL
    assert reason == Reason.out_of_memory
    assert f"{free_bytes / 2**30:.1f} GiB were free" in message


def _lay_out(proc, mountinfo, membership, files):
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "mountinfo").write_text(mountinfo)
    (proc / "self" / "cgroup").write_text(membership)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc


def test_version_2_the_tightest_level_counts(tmp_path):
    top = tmp_path / "unified"
    pod, own = top / "pod", top / "pod" / "box"
    proc = _lay_out(
        tmp_path / "proc",
        f"30 23 0:26 / {top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
        "0::/pod/box\n",
        {
            own / "memory.max": "max\n",
            own / "memory.current": "1000\n",
            own / "memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
            own / "cpu.max": "400000 100000\n",
            pod / "memory.max": "5000000000\n",
            pod / "memory.current": "3000000000\n",
            pod / "memory.stat": "anon 1000\ninactive_file 500000000\n",
            pod / "memory.events": "oom_kill 7\n",
            pod / "cpu.max": "150000 100000\n",
        },
    )
    assert cgroup.memory_left_bytes(proc) == 2_500_000_000
    assert cgroup.cores_allowed(proc) == 1.5
    assert cgroup.memory_kills(proc) == 2


def test_version_1_where_the_container_sees_its_own_group_as_the_top(tmp_path):
    memory, cpu = tmp_path / "memory", tmp_path / "cpu,cpuacct"
    proc = _lay_out(
        tmp_path / "proc",
        f"40 30 0:30 /docker/abc {cpu} ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
        f"41 30 0:31 /docker/abc {memory} ro,nosuid - cgroup cgroup rw,memory\n",
        "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
        {
            memory / "memory.limit_in_bytes": "2000000000\n",
            memory / "memory.usage_in_bytes": "700000000\n",
            memory / "memory.stat": "inactive_file 5\ntotal_inactive_file 200000000\n",
            memory / "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
            cpu / "cpu.cfs_quota_us": "200000\n",
            cpu / "cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory_left_bytes(proc) == 1_500_000_000
    assert cgroup.cores_allowed(proc) == 2
    assert cgroup.memory_kills(proc) == 4


def test_without_limits_there_is_nothing_to_say(tmp_path):
    memory = tmp_path / "memory"
    proc = _lay_out(
        tmp_path / "proc",
        f"41 30 0:31 / {memory} rw - cgroup cgroup rw,memory\n",
        "5:memory:/\n",
        {memory / "memory.limit_in_bytes": "9223372036854771712\n", memory / "memory.usage_in_bytes": "7\n"},
    )
    assert cgroup.memory_left_bytes(proc) is None
    assert cgroup.cores_allowed(proc) is None
    assert cgroup.memory_kills(proc) is None
    (proc / "vmstat").write_text("nr_free_pages 1\noom_kill 9\n")
    assert cgroup.memory_kills(proc) == 9
    assert cgroup.memory_left_bytes(tmp_path / "nowhere") is None
