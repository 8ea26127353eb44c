"""How a lab server was started, for the commands that look after it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from axonlab_core.contract.errors import BadInput
from axonlab_hub.backup import read_member
from axonlab_hub.settings import Settings


def keep(settings: Settings) -> None:
    """Write it into the state folder."""
    file = _file(settings.state)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(settings.model_dump_json(exclude_unset=True, indent=2))
    beside.replace(file)


def kept(state: Path) -> Settings:
    """How the lab server with that state folder was started.

    Raises
    ------
    BadInput
        If there is none, or this user may not look after it.
    """
    file = _file(state)
    try:
        return Settings.model_validate_json(file.read_text()).model_copy(update={"state": state.resolve()})
    except PermissionError as error:
        raise BadInput(f"Only root may read {file}.", remedy="Use sudo.") from error
    except (OSError, ValueError) as error:
        raise BadInput(
            f"There is no lab server's state in {state}.", remedy="Give --state as to `axonlab up --lan`."
        ) from error


def settings_in(archive: Path, state: Path | None) -> Settings | None:
    """How the lab server in an archive was started, or None if the archive is not a lab server's."""
    text = read_member(archive, "state/./hub/settings.json")
    if text is None:
        return None
    settings = Settings.model_validate_json(text)
    return settings if state is None else settings.model_copy(update={"state": state.resolve()})


def _file(state: Path) -> Path:
    return state.resolve() / "hub" / "settings.json"
