"""Why a job's notebook has failed: its owner's code or data, too little memory, or the platform."""

from __future__ import annotations

import errno
import signal
from typing import NamedTuple, Self

from axonlab_core.contract.errors import AxonlabError
from axonlab_core.contract.states import Reason
from axonlab_runner.cgroup import memory_kills
from axonlab_runner.child import Outcome
from axonlab_runner.machine import free_memory_bytes

_REASONS = {
    "BadInput": Reason.bad_input,
    "TooLarge": Reason.bad_input,
    "OutOfMemoryError": Reason.out_of_memory,
    "MemoryError": Reason.out_of_memory,
    "_ArrayMemoryError": Reason.out_of_memory,
    "DeadKernelError": Reason.platform,
}
_NO_SPACE = f"[Errno {errno.ENOSPC}]"
_NO_MEMORY = ("DefaultCPUAllocator", "out of memory", f"[Errno {errno.ENOMEM}]")
_OWN_SHARE = 0.5
"""Of the memory that was free when it began, a job must have used so much to be what the memory ran out for."""
_GIB = 2**30


class Memory(NamedTuple):
    """Memory as it was when a notebook was started."""

    free_bytes: int
    kills: int | None
    """How many processes the kernel had ended for lack of memory; None where it does not say."""

    @classmethod
    def now(cls) -> Self:
        """As it is now."""
        return cls(free_memory_bytes(), memory_kills())

    def was_exhausted_by(self, outcome: Outcome) -> bool:
        """Whether the notebook's kernel was killed because it had used up the memory.

        A kernel that is killed for other reasons, or because others took the memory, is no doing of its owner.
        """
        if outcome.kernel_status != -signal.SIGKILL or outcome.peak_memory_bytes < _OWN_SHARE * self.free_bytes:
            return False
        kills = memory_kills()
        return self.kills is None or kills is None or kills > self.kills


class NotebookFailed(AxonlabError):
    """The job's notebook ended with an error."""

    def __init__(self, outcome: Outcome, memory: Memory) -> None:
        super().__init__(outcome.message or outcome.name)
        self.reason = _reason(outcome, memory)
        if self.reason is Reason.code_error:
            self.message = f"{outcome.name}: {self.message}"
        if self.reason is Reason.out_of_memory:
            used, free = outcome.peak_memory_bytes / _GIB, memory.free_bytes / _GIB
            numbers = f"The job ran out of memory: it used {used:.1f} GiB, and {free:.1f} GiB were free when it began."
            self.message = numbers if outcome.name == "DeadKernelError" else f"{numbers} {self.message}"
            self.remedy = "Use fewer or smaller images, a smaller tile (tile_px) or a smaller batch."


def _reason(outcome: Outcome, memory: Memory) -> Reason:
    if outcome.name == "DeadKernelError" and memory.was_exhausted_by(outcome):
        return Reason.out_of_memory
    if outcome.name == "OSError" and _NO_SPACE in outcome.message:
        return Reason.platform
    if outcome.name in {"RuntimeError", "OSError"} and any(sign in outcome.message for sign in _NO_MEMORY):
        return Reason.out_of_memory
    return _REASONS.get(outcome.name, Reason.code_error)
