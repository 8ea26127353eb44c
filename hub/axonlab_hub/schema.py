"""The tables' form: brought to this version's when the service starts, by one process at a time.

All of it happens in one transaction that begins with a lock, so that of several replicas which start together one
does it and the others find it done; what is interrupted has not happened.
"""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from axonlab_core.contract.errors import PlatformError

_ADOPTED = "0001"
"""The form of the databases that were made before there were migrations."""
_LOCK_NUMBER = 0x61786F6E  # "axon"; any number that nothing else in the database locks
_one_at_a_time = threading.Lock()  # Alembic keeps the step that it runs in module variables


def upgrade_schema(connection: Connection) -> None:
    """Bring the tables to this version's form, within the connection's transaction, which holds SQLite's lock already.

    Raises
    ------
    PlatformError
        If a newer version of the service has changed them.
    """
    with _one_at_a_time:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "axonlab_hub:migrations")
        config.set_main_option("path_separator", "os")
        present = MigrationContext.configure(connection).get_current_revision()
        if present is None and inspect(connection).has_table("jobs"):
            command.stamp(config, _ADOPTED)
        elif present is not None and present not in _known(config):
            raise PlatformError(
                f"The database is of form {present}, which this version of the service does not know.",
                remedy="Start the newer version, or restore the backup from before its upgrade.",
            )
        command.upgrade(config, "head")


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
