"""A lab server from its ground up to what it hands out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axonlab_core.contract.errors import BadInput
from axonlab_hub.backup import read_member
from axonlab_hub.lab import system_users
from axonlab_hub.lab.certificate import Certificate
from axonlab_hub.lab.first_passwords import make_passwords, write_passwords
from axonlab_hub.lab.ground import Ground, prepare
from axonlab_hub.lab.kept import keep
from axonlab_hub.lab.roster import Roster, read_roster
from axonlab_hub.settings import Settings


@dataclass(frozen=True)
class Lab:
    """A lab server whose ground is ready."""

    settings: Settings
    ground: Ground
    roster: Roster
    certificate: Certificate

    @classmethod
    def prepare(cls, settings: Settings) -> Lab:
        """Make system users, folders and the certificate ready, and check that they will do; see `ground.prepare`."""
        ground = prepare(settings)
        host = urlsplit(settings.url).hostname or "localhost"
        return cls(settings, ground, read_roster(settings.roster), ground.certificate(host))

    def keep_settings(self) -> None:
        """Write down how it is started, for the commands that look after it."""
        keep(self.settings)

    def admit(self) -> dict[str, str]:
        """First passwords for the people who have none, also written down for whoever hands them out."""
        return admit(self.settings, self.roster)

    def runner(
        self, command: list[str], environment: dict[str, str]
    ) -> tuple[list[str], dict[str, str], dict[str, Any]]:
        """Command, environment and system user of its runner."""
        who = self.ground.runner
        work = str(self.settings.work_folder)
        own = {"HOME": work, "USER": who.pw_name, "LOGNAME": who.pw_name}
        system_user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": [], "umask": 0o077, "cwd": work}
        return [*command, "--work-dir", work], environment | own, system_user


def admit(settings: Settings, roster: Roster) -> dict[str, str]:
    """A system user and a first password for everybody on the roster who has none; the hub's database must be there."""
    for name in roster.roles:
        system_users.person(settings.user_prefix, name, settings.homes_folder)
    made = make_passwords(settings.hub_database, roster.roles)
    if made:
        write_passwords(settings.first_passwords_file, made, address=settings.url)
    return made


def make_system_users(settings: Settings, archive: Path) -> None:
    """The system users whose files the archive of a lab server holds, so that they can be given back to them."""
    Ground.of(settings)
    roster = read_member(archive, "roster.csv")
    if roster is None:
        raise BadInput(f"{archive} holds no roster.", remedy="It was not made by `axonlab backup`.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "roster.csv"
        file.write_bytes(roster)
        for name in read_roster(file).roles:
            system_users.person_without_home(settings.user_prefix, name, settings.homes_folder)
