"""Starts each person's server under a system user of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from jupyterhub.spawner import LocalProcessSpawner, set_user_setuid
from tornado import web
from traitlets import Unicode

from axonlab_core.contract.errors import Unavailable
from axonlab_hub.lab import system_users

_RUNTIME = Path("/run")
_MAX_PROCESSES = 4096  # of one person, threads included
_MEMORY_SHARE = 2  # no process of a student may have more than this part of the machine's memory
_SPARE_THE_LAB = "500"  # out of memory, the kernel ends a student's process before the hub's or the runner's
_HAND_OUT_S = 120.0
# As the person, in one call of the kernel's: nothing slips through by forking, and nobody else's process is touched.
_END_ALL = """
import os, signal
try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    pass  # there was nothing left
"""


class SystemUserSpawner(LocalProcessSpawner):
    """Starts each person's server under the system user `<prefix><name>`, in a home of their own."""

    user_prefix = Unicode(config=True, help="What stands before a person's name in the system user's.")
    homes = Unicode(config=True, help="The folder with everybody's home.")

    @property
    def account(self) -> str:
        """The system user's name."""
        return self.user_prefix + self.user.name

    @property
    def runtime(self) -> Path:
        """Where the person's kernels have their sockets; short, since a socket's path must have less than 108 bytes."""
        return _RUNTIME / f"{self.user_prefix}servers" / self.user.name

    async def start(self) -> tuple[str, int]:
        """Start the server; people who came into the course meanwhile get their system user now."""
        if not self.authenticator.check_allowed(self.user.name):
            raise web.HTTPError(403, f"{self.user.name} is not in the course.")
        who = await asyncio.to_thread(system_users.person, self.user_prefix, self.user.name, Path(self.homes))
        system_users.folder(self.runtime.parent, mode=0o711)
        system_users.folder(self.runtime, owner=who.pw_uid, group=who.pw_gid)
        await self.end_all()
        hand_out = [sys.executable, "-I", "-m", "axonlab_hub.hand_out", who.pw_dir]
        try:
            await asyncio.to_thread(system_users.run_as, who, hand_out, timeout_s=_HAND_OUT_S)
        except Unavailable as error:
            self.log.warning(
                "The lessons were not handed out: %s", error
            )  # a full disk, say; the server is still theirs
        return await super().start()

    def make_preexec_fn(self, name: str) -> Callable[[], None]:  # noqa: ARG002 (the hub's name for them)
        """What the server's process does before it becomes the server: it becomes the person's system user."""
        become = set_user_setuid(self.account)
        memory = psutil.virtual_memory().total // _MEMORY_SHARE

        def preexec() -> None:
            os.umask(0o077)
            with contextlib.suppress(OSError):  # some containers forbid it; nothing else depends on it
                Path("/proc/self/oom_score_adj").write_text(_SPARE_THE_LAB)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_NPROC, (_MAX_PROCESSES, _MAX_PROCESSES))
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
            become()

        return preexec

    def user_env(self, env: dict[str, Any]) -> dict[str, Any]:
        """The server's environment, with what is the system user's."""
        who = pwd.getpwnam(self.account)
        own = {"USER": who.pw_name, "LOGNAME": who.pw_name, "HOME": who.pw_dir, "SHELL": who.pw_shell}
        return env | own | {"JUPYTER_RUNTIME_DIR": str(self.runtime)}

    async def end_all(self) -> None:
        """End every process of the person's, however their server has ended."""
        who = pwd.getpwnam(self.account)
        await asyncio.to_thread(system_users.run_as, who, [sys.executable, "-I", "-c", _END_ALL])

    async def _signal(self, sig: int) -> bool:
        """Send a signal to the server; after a reboot its number may be somebody else's process."""
        try:
            mine = psutil.Process(self.pid).uids().real == pwd.getpwnam(self.account).pw_uid
        except psutil.NoSuchProcess:
            return False
        return mine and await super()._signal(sig)
