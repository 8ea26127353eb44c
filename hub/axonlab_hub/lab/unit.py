"""The systemd unit that runs a lab server."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

_UNIT = """\
[Unit]
Description=Axonlab, course {course}
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={command}
# It lets running jobs hand back a checkpoint, then ends everything it has started.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=120
Restart=on-failure
RestartSec=5
# 2: something is wrong with what it was given, and stays wrong.
RestartPreventExitStatus=2
# Nobody's processes get in the way of the machine's own.
OOMPolicy=continue
TasksMax=80%
MemoryMax=90%
# It makes system users and changes to them, and needs nothing else of root's.
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID \
CAP_SETUID CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_RESOURCE CAP_AUDIT_WRITE
NoNewPrivileges=yes
PrivateDevices={private_devices}
ProtectClock=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
"""


def unit(words: Sequence[str], *, course: str, gpu: bool) -> str:
    """The unit's text for `axonlab up --lan` with these words."""
    program = Path(sys.executable).with_name("axonlab")
    command = shlex.join([str(program), "up", *words]).replace("%", "%%").replace("$", "$$")
    # Private devices are without a GPU.
    return _UNIT.format(course=course, command=command, private_devices="no" if gpu else "yes")
