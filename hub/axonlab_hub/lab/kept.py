"""How a lab server was started, for the commands that look after it."""

from __future__ import annotations

import json
from pathlib import Path

from axonlab_core.contract.errors import BadInput, Conflict
from axonlab_hub.backup import read_member
from axonlab_hub.secrets_folder import write_private
from axonlab_hub.settings import Settings


def keep(settings: Settings) -> None:
    """Write it into the state folder."""
    write_private(_file(settings.state), settings.model_dump_json(exclude_unset=True, indent=2).encode())


def kept(state: Path) -> Settings:
    """How the lab server with that state folder was started.

    Raises
    ------
    BadInput
        If there is none, or this user may not look after it.
    """
    file = _file(state)
    try:
        text = file.read_bytes()
    except PermissionError as error:
        raise BadInput(f"Only root may read {file}.", remedy="Use sudo.") from error
    except OSError as error:
        raise BadInput(
            f"There is no lab server's state in {state}.", remedy="Give --state as to `axonlab up --lan`."
        ) from error
    return _parse(str(file), text).model_copy(update={"state": state.resolve()})


def settings_in(archive: Path, state: Path | None) -> Settings | None:
    """How the lab server in an archive was started, or None if the archive is not a lab server's."""
    text = read_member(archive, "state/./hub/settings.json")
    if text is None:
        return None
    settings = _parse(f"hub/settings.json in {archive}", text)
    return settings if state is None else settings.model_copy(update={"state": state.resolve()})


def check_same(settings: Settings) -> None:
    """Check that a lab server is started where it was started before, or in a folder of its own.

    Raises
    ------
    BadInput
        If the state folder holds something else.
    Conflict
        If its people would lose their homes or system users.
    """
    state = settings.state.resolve()
    if not _file(state).is_file():
        if state.is_dir() and {path.name for path in state.iterdir()} - {"lost+found"}:
            raise BadInput(
                f"{state} holds something else than a lab server's state.", remedy="Give another folder with --state."
            )
        return
    before = kept(state)
    for name, was, now in (
        ("homes", before.homes_folder, settings.homes_folder),
        ("user-prefix", before.user_prefix, settings.user_prefix),
        ("course", before.course, settings.course),
    ):
        if was != now:
            raise Conflict(
                f"The lab server in {state} was started with --{name} {was}, not {now}.",
                remedy=f"Start it with --{name} {was}, or give another --state.",
            )


def _parse(where: str, text: bytes) -> Settings:
    try:
        found = json.loads(text)
        # Another version may have known more.
        return Settings.model_validate({name: found[name] for name in found if name in Settings.model_fields})
    except (ValueError, TypeError) as error:
        raise BadInput(f"{where} is broken: {error}.", remedy="Start the lab server with all its options.") from error


def _file(state: Path) -> Path:
    return state.resolve() / "hub" / "settings.json"
