"""Keeps other processes of the same system user from reading this one's memory and environment."""

from __future__ import annotations

import ctypes
import logging
import os
import sys

logger = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4


def seal() -> None:
    """Make this process's memory and environment readable by root alone; it leaves no core dump either.

    A job's kernel is the same system user as the runner, which holds a token. What the runner starts is not sealed:
    a new program begins without. Against root nothing helps. Linux only; elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        logger.warning("the runner's memory cannot be sealed: %s", os.strerror(ctypes.get_errno()))
