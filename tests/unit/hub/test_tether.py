"""What `axonlab up` starts goes when `axonlab up` goes, also by kill -9. Real processes."""

import subprocess
import sys

import psutil
import pytest

from axonlab_hub.tether import tethered

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")

_PARENT = """
import subprocess, sys, time
from axonlab_hub.tether import tethered
child = subprocess.Popen(tethered([sys.executable, "-c", sys.argv[1]]), stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(100)
"""
# As the hub does: it says that it has come up, and clears up when it is told to end.
_CHILD = """
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path({mark!r}).write_text("cleared up")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(100)
"""


def test_it_is_asked_to_end_when_its_parent_is_killed(tmp_path):
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", _PARENT, _CHILD.format(mark=str(mark))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
        parent.wait(20)
    _, alive = psutil.wait_procs([child], timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert mark.read_text() == "cleared up"


def test_it_does_not_start_when_its_parent_is_gone_already(tmp_path):
    program, *rest = tethered(["touch", str(tmp_path / "mark")])
    position = rest.index("touch") - 1
    rest[position] = "1" if rest[position] != "1" else "2"  # somebody who is not our parent
    ended = subprocess.run([program, *rest], timeout=20, check=False)
    assert ended.returncode != 0
    assert not (tmp_path / "mark").exists()


def test_while_its_parent_lives_it_is_the_command_itself():
    ended = subprocess.run(
        tethered([sys.executable, "-c", "import sys; print(sys.argv)", "a b"]),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert ended.stdout.strip() == "['-c', 'a b']"
