"""A lab server from its ground up to what it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from axonlab_hub.lab import system_users
from axonlab_hub.lab.certificate import Certificate
from axonlab_hub.lab.first_passwords import make_passwords
from axonlab_hub.lab.ground import Ground, prepare
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
        # The hub's settings are not for a runner: a database's address with its password, say.
        seen = {name: value for name, value in environment.items() if name not in self.settings.environment()}
        return [*command, "--work-dir", work], seen | own, system_user


def admit(settings: Settings, roster: Roster) -> dict[str, str]:
    """A system user and a first password for everybody on the roster who has none; the hub's database must be there."""
    for name in roster.roles:
        system_users.person(settings.user_prefix, name, settings.homes_folder)
    return make_passwords(settings, roster.roles)
