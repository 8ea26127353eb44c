"""Kernels forked from the warm parent, in Jupyter's own way of starting them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from axonlab_runner.forked import fork


class WarmProvisioner(LocalProvisioner):
    """Has a kernel forked where Jupyter would start one."""

    parent_socket: str = Unicode(help="Path of the warm parent's socket.").tag(config=True)  # type: ignore[assignment]

    async def launch_kernel(self, cmd: list[str], **kwargs: object) -> dict[str, object]:  # type: ignore[override]
        """Have the kernel forked; `cmd` is what would have started it: its last arguments are the kernel's."""
        environment = kwargs.get("env") or os.environ
        assert isinstance(environment, Mapping)  # noqa: S101 (Jupyter's own)
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            process = fork(
                Path(self.parent_socket),
                "kernel",
                cmd[cmd.index("-f") :],
                environment=environment,
                folder=Path(str(kwargs.get("cwd") or Path.cwd())),
                streams=(nothing, 2, 2),
            )
        finally:
            os.close(nothing)
        self.process = process  # type: ignore[assignment] (behaves like Popen)
        self.pid = process.pid
        self.pgid = process.pid
        return self.connection_info  # type: ignore[return-value]
