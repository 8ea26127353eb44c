"""The ground a lab server stands on: system users, folders that belong to them, and programs that they may run."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

from axonlab_core.contract.errors import BadInput, NotAllowed, PlatformError
from axonlab_hub.lab import system_users
from axonlab_hub.lab.certificate import Certificate, given_certificate, own_certificate
from axonlab_hub.lab.kept import check_same, keep
from axonlab_hub.lab.roster import NAME, read_roster
from axonlab_hub.secrets_folder import kept_secret
from axonlab_hub.settings import Settings

_WALK = 0o711  # others may pass through, and see nothing
_GROUP_READS = 0o750
_PURPOSES = ("service", "runner", "proxy")
_NEEDED = "import jupyterhub.singleuser, jupyterlab, ipykernel, axonlab, axonlab_notebooks"
_CHECK_S = 60.0


@dataclass(frozen=True)
class Ground:
    """The system users of a lab server's parts."""

    settings: Settings
    service: pwd.struct_passwd
    runner: pwd.struct_passwd
    proxy: pwd.struct_passwd

    @classmethod
    def of(cls, settings: Settings) -> Ground:
        """The ground of that lab server; system users that it lacks are made."""
        return cls(settings, *(system_users.account(settings.user_prefix, purpose) for purpose in _PURPOSES))

    @property
    def proxy_folder(self) -> Path:
        """Certificate and key."""
        return self.settings.state.resolve() / "proxy"

    def certificate(self, host: str) -> Certificate:
        """The certificate given, else one that the lab server has signed itself."""
        settings, group = self.settings, self.proxy.pw_gid
        if settings.tls_certificate is not None and settings.tls_key is not None:
            return given_certificate(settings.tls_certificate, settings.tls_key, host, self.proxy_folder, group=group)
        if settings.tls_certificate is not None or settings.tls_key is not None:
            raise BadInput(
                "A certificate needs its key.", remedy="Give both --tls-certificate and --tls-key, or neither."
            )
        return own_certificate(host, self.proxy_folder, group=group)


def check(settings: Settings) -> None:
    """Check what can be checked before anything is changed.

    Raises
    ------
    BadInput
        If the roster may be written by anybody, or the state folder is something else.
    NotAllowed
        If this is not root.
    """
    if os.geteuid() != 0:
        raise NotAllowed(
            "A lab server starts every student's server under a system user of their own, and only root may do that.",
            remedy="Start it with sudo, or as a unit: `axonlab lab unit`.",
        )
    check_same(settings)
    read_roster(settings.roster)
    _check_roster_file(settings.roster)


def prepare(settings: Settings) -> Ground:
    """The ground of that lab server, ready: what it lacks is made, and what is there is checked.

    Raises
    ------
    BadInput
        If students cannot reach what they need.
    """
    ground = Ground.of(settings)
    _make_folders(ground)
    keep(settings)
    _check_programs(ground)
    return ground


def give_state(settings: Settings, state: Path) -> None:
    """Give what was brought back to the system users of this machine; `prepare` does the folders themselves."""
    ground = Ground.of(settings)
    for name, owner in (("hub", "root"), ("runner", "root"), ("proxy", "root"), ("service", ground.service.pw_name)):
        if (state / name).is_dir():
            system_users.give(state / name, owner)


def give_home(settings: Settings, home: Path) -> None:
    """Give a home that was brought back to its person's system user, made if need be."""
    if NAME.fullmatch(home.name):
        who = system_users.person_without_home(settings.user_prefix, home.name, settings.homes_folder)
        system_users.give(home, who.pw_name)


def _make_folders(ground: Ground) -> None:
    settings = ground.settings
    system_users.folder(settings.state.resolve(), mode=_WALK)
    system_users.folder(settings.hub_folder)
    system_users.folder(settings.service_folder, owner=ground.service.pw_uid, group=ground.service.pw_gid)
    # The runner can read its token and the proxy its key, and neither can put anything else in their place.
    system_users.folder(settings.runner_folder, group=ground.runner.pw_gid, mode=_GROUP_READS)
    system_users.folder(settings.work_folder, owner=ground.runner.pw_uid, group=ground.runner.pw_gid)
    system_users.folder(ground.proxy_folder, group=ground.proxy.pw_gid, mode=_GROUP_READS)
    if not settings.homes_folder.exists():
        system_users.folder(settings.homes_folder, mode=0o755)
    kept_secret(settings.runner_token_file)
    os.chown(settings.runner_token_file, 0, ground.runner.pw_gid)
    settings.runner_token_file.chmod(0o640)


def _check_roster_file(roster: Path) -> None:
    """Whoever may write the roster decides who is staff."""
    for path in (roster.resolve(), roster.resolve().parent):
        mode = path.stat().st_mode if path.exists() else 0  # a missing one is said by whoever reads it
        if mode & 0o002 and not mode & 0o1000:
            raise BadInput(f"Everybody on this machine may write {path}.", remedy=f"Run chmod o-w {path}.")


def _check_programs(ground: Ground) -> None:
    """Students' servers run our own Python, which must not live where only root may go."""
    for folder in (ground.settings.homes_folder, ground.settings.state.resolve()):
        _check_way(folder)
    try:
        system_users.run_as(ground.runner, [sys.executable, "-c", _NEEDED], timeout_s=_CHECK_S)
    except PlatformError as error:
        raise BadInput(
            f"Other users of this machine cannot run Axonlab's Python, {sys.executable}: {error.message}",
            remedy="Install Axonlab with the system's python3 where everybody may go, such as /opt/axonlab.",
        ) from error


def _check_way(folder: Path) -> None:
    for part in (folder, *folder.parents):
        if not part.stat().st_mode & 0o001:
            raise BadInput(
                f"Students cannot reach {folder}: only its owner may enter {part}.",
                remedy="Give folders elsewhere with --state and --homes.",
            )
