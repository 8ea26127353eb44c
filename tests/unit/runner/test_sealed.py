"""The runner's token is not for the kernels of its jobs, which are the same system user."""

import os
import subprocess
import sys

import pytest

# The test's interpreter may lie where other users cannot start it, so a process that is running gives up root.
# Giving it up seals it, too; it is opened again to see what the seal does.
_SCRIPT = """
import ctypes, os, sys
from axonlab_runner.sealed import seal
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "sealed":
    seal()
holder = os.getpid()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
read = []
for what in ("environ", "maps", "mem"):
    try:
        with open(f"/proc/{holder}/{what}", "rb") as file:
            if what != "mem":
                file.read()
            read.append(what)
    except PermissionError:
        pass
print(" ".join(read), flush=True)
os._exit(0)
"""


def readable(how):
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT, how],
        env={**os.environ, "AXONLAB_SECRET": "s"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ended.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_what_another_process_of_the_same_user_can_read():
    assert {"environ", "maps"} <= readable("open"), "without the seal it could be read"
    assert readable("sealed") == set()


_RUNNER = """
import ctypes, sys
from axonlab_core.cli import main
sys.argv = ["axonlab", "runner", "--service", "http://127.0.0.1:1/services/axonlab", "--token-file", sys.argv[1]]
try:
    main()
except SystemExit as ended:
    print("ended with", ended.code, "dumpable", ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_runner_is_sealed_before_it_reads_its_token(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", _RUNNER, str(tmp_path / "missing")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "ended with 2 dumpable 0\n", ended.stderr
