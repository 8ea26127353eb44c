"""Ties a process to the one that starts it: when that is gone, however it went, the process is asked to end.

Run as a program with PARENT COMMAND…, it asks the kernel for a SIGTERM at the parent's end and becomes
the command, which keeps that. Nothing has to run between fork and exec in the parent, where other threads may hold
locks. Linux only; elsewhere the command just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_ORPHANED = 1


def tethered(command: Sequence[str]) -> list[str]:
    """`command`, to be started by the calling thread and to get a SIGTERM when that thread is over.

    Start it from a thread that lives as long as the process is wanted: the main thread, or one that waits for it.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, command: Sequence[str]) -> None:
    """Become `command`, tied to `parent`; end if `parent` is gone already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it ended before we asked
            sys.exit(_ORPHANED)
    os.execvp(command[0], list(command))  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
