"""What a lab server's hub has beyond the hub of one person's machine."""

from __future__ import annotations

import hashlib
import shutil
import sys
from typing import Any
from urllib.parse import urlsplit

from axonlab_hub.configure import proxy_command
from axonlab_hub.lab.authenticator import TEMPLATES, RosterAuthenticator
from axonlab_hub.lab.ground import Ground
from axonlab_hub.lab.spawner import SystemUserSpawner
from axonlab_hub.settings import Settings

_MIN_PASSWORD = 10
_IDLE_S = 3600
_HTTPS = 443


def configure_lab(c: Any, settings: Settings) -> None:
    """Add a lab server's walls to the configuration of a hub that runs as root."""
    ground = Ground.of(settings)
    _people(c, settings)
    _homes(c, settings)
    _proxy(c, settings, ground)
    for service in c.JupyterHub.services:
        if "command" in service:
            service["user"] = ground.service.pw_name
    _culling(c, ground)


def _people(c: Any, settings: Settings) -> None:
    c.JupyterHub.authenticator_class = RosterAuthenticator
    c.JupyterHub.template_paths = [TEMPLATES]
    c.Authenticator.manage_groups = True
    c.RosterAuthenticator.roster_file = str(settings.roster.resolve())
    c.RosterAuthenticator.course = settings.course
    c.NativeAuthenticator.enable_signup = False
    c.NativeAuthenticator.minimum_password_length = _MIN_PASSWORD
    c.NativeAuthenticator.check_common_password = True


def _homes(c: Any, settings: Settings) -> None:
    c.JupyterHub.spawner_class = SystemUserSpawner
    c.SystemUserSpawner.user_prefix = settings.user_prefix
    c.SystemUserSpawner.homes = str(settings.homes_folder)

    async def end_all(spawner: SystemUserSpawner) -> None:
        await spawner.end_all()

    c.Spawner.post_stop_hook = end_all
    # Nothing that a student starts becomes more than they are, whatever the machine has installed.
    c.Spawner.cmd = [_setpriv(), "--no-new-privs", *c.Spawner.cmd]
    c.Spawner.args = [
        *c.Spawner.args,
        # Over TCP everybody on the machine could listen to what a kernel prints; the key only signs it.
        "--KernelManager.transport=ipc",
    ]


def _proxy(c: Any, settings: Settings, ground: Ground) -> None:
    c.JupyterHub.public_url = settings.url + "/"
    name = "self-signed" if settings.tls_certificate is None else "given"
    c.JupyterHub.ssl_cert = str(ground.proxy_folder / f"{name}.pem")
    c.JupyterHub.ssl_key = str(ground.proxy_folder / f"{name}.key")
    # A pid in the state folder would outlive a reboot, and be somebody else's by then.
    which = hashlib.sha256(str(settings.state.resolve()).encode()).hexdigest()[:12]
    c.ConfigurableHTTPProxy.pid_file = f"/run/axonlab-proxy-{which}.pid"
    # It talks to the whole network, so it is not root and knows no setting; it may still listen at port 443.
    become = [
        "env",
        *(word for name in settings.environment() for word in ("-u", name)),
        _setpriv(),
        f"--reuid={ground.proxy.pw_uid}",
        f"--regid={ground.proxy.pw_gid}",
        "--clear-groups",
        "--inh-caps=-all,+net_bind_service",
        "--ambient-caps=-all,+net_bind_service",
        "--bounding-set=-all,+net_bind_service",
        "--no-new-privs",
    ]
    redirect = ["--redirect-port=80"] if (urlsplit(settings.bind_url).port or _HTTPS) == _HTTPS else []
    c.ConfigurableHTTPProxy.command = [*become, *proxy_command(), *redirect]


def _culling(c: Any, ground: Ground) -> None:
    """Servers that nobody uses are stopped, so that thirty students fit on one machine; jobs go on without them."""
    c.JupyterHub.services.append(
        {
            "name": "idle-culler",
            "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={_IDLE_S}", "--cull-every=300"],
            "user": ground.service.pw_name,
            "display": False,
        }
    )
    c.JupyterHub.load_roles.append(
        {
            "name": "idle-culler",
            "description": "Stops servers that nobody uses.",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["idle-culler"],
        }
    )


def _setpriv() -> str:
    return shutil.which("setpriv") or "setpriv"
