"""Everything that must survive a machine, in one archive, and back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from axonlab_core.contract.errors import BadInput, Conflict, Unavailable
from axonlab_hub.settings import Settings

_DATABASES = ("jupyterhub.sqlite", "axonlab.sqlite")
_BESIDE_DATABASE = ("", "-wal", "-shm", "-journal")
_LOCK_S = 60.0
_TIMEOUT_S = 4 * 3600.0
_CHANGED_MEANWHILE = 1  # GNU tar's status when a file grew while it was read
_COMPRESSIONS = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz")


def back_up(settings: Settings, to: Path) -> tuple[int, list[str]]:
    """Write state, homes and roster into an archive that only its owner can read.

    The classroom may be running: databases are copied as of one moment, before the files they name, which are
    written once and not changed.

    Returns
    -------
    size_bytes, unread
        The archive's size, and what tar says of files that could not be read.

    Raises
    ------
    BadInput
        If there is no classroom's state, part of it is elsewhere, or the archive's name says nothing known.
    Conflict
        If the archive exists already.
    """
    _check_complete(settings)
    if not to.name.endswith(_COMPRESSIONS):
        raise BadInput(f"{to.name} is no archive's name.", remedy=f"Let it end in one of {', '.join(_COMPRESSIONS)}.")
    with _private_folder(to.parent) as staging:
        (staging / "databases").mkdir()
        for file in _database_files(settings):
            _copy_database(file, staging / "databases" / file.name)
        parts = ["databases", "state/."]
        (staging / "state").symlink_to(settings.state.resolve())
        if settings.lan:
            (staging / "homes").symlink_to(settings.homes_folder)
            shutil.copyfile(settings.roster, staging / "roster.csv")
            parts = ["roster.csv", *parts, "homes/."]
        words = ["--create", "--auto-compress", "--sparse", "--ignore-failed-read", f"--file={to.name}"]
        unread = _tar([*words, *_exclusions(settings), *parts], staging)
        try:
            os.link(staging / to.name, to)
        except FileExistsError as error:
            raise Conflict(f"{to} exists already.", remedy="Give another name.") from error
    return to.stat().st_size, unread


def restore(archive: Path, settings: Settings) -> Path:
    """Bring back what an archive holds, where nothing is yet; returns the state folder.

    Archives come from `back_up` and are trusted: they hold the classroom's secrets. Of a lab server, homes and folders
    are given to the system users of this machine by name; the ones that are missing are made.

    Raises
    ------
    BadInput
        If it is not such an archive, or is broken.
    Conflict
        If there is something already where it would go.
    """
    state, homes = settings.state.resolve(), settings.homes_folder
    for folder in [state, homes] if settings.lan else [state]:
        _check_free(folder)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _private_folder(state) as staging:  # on the same disk, should it be one of its own
        _extract(archive, staging, ["databases", "state"])
        for file in sorted((staging / "databases").iterdir()):
            _check_database(file)
        for target in _database_files(settings.model_copy(update={"state": staging / "state"})):
            found = staging / "databases" / target.name
            if not found.is_file():
                raise BadInput(f"{archive} holds no {target.name}.", remedy="It was not made by `axonlab backup`.")
            found.chmod(0o600)
            found.rename(target)
        if settings.lan:
            _restore_homes(archive, settings, staging)
        for part in (staging / "state").iterdir():
            part.rename(state / part.name)
    return state


def read_member(archive: Path, member: str) -> bytes | None:
    """One file of the archive, or None if it holds none of that name."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _extract(archive, Path(folder), [member])
        except BadInput:
            if not archive.is_file():
                raise
            return None
        return (Path(folder) / member).read_bytes()


def _restore_homes(archive: Path, settings: Settings, staging: Path) -> None:
    from axonlab_hub.lab.ground import give_home, give_state  # noqa: PLC0415 (other classrooms do without)

    homes = settings.homes_folder
    homes.mkdir(parents=True, exist_ok=True)
    homes.chmod(0o755)
    give_state(settings, staging / "state")
    with _private_folder(homes) as beside:
        _extract(archive, beside, ["homes"])
        for home in (beside / "homes").iterdir():
            # By name: on this machine the same number may be somebody else.
            give_home(settings, home)
            home.rename(homes / home.name)
    if not settings.roster.exists():
        _extract(archive, staging, ["roster.csv"])
        settings.roster.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(staging / "roster.csv", settings.roster)


def _check_complete(settings: Settings) -> None:
    for name, url in (("AXONLAB_DATABASE_URL", settings.database_url), ("AXONLAB_STORAGE_URL", settings.storage_url)):
        if url:
            raise BadInput(f"{name} leads out of the state folder.", remedy="Back that up with its own tools.")
    if not all(file.is_file() for file in _database_files(settings)):
        raise BadInput(f"There is no classroom's state in {settings.state}.", remedy="Give its folder with --state.")


def _database_files(settings: Settings) -> tuple[Path, Path]:
    hub, service = _DATABASES
    return settings.hub_folder / hub, settings.service_folder / service


def _copy_database(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=_LOCK_S)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)


def _check_database(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            (said,) = database.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise BadInput(f"The database {file.name} of the archive is broken: {said}.", remedy="Take an earlier archive.")


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {"lost+found"}):
        raise Conflict(f"{folder} is there already.", remedy="Move it away first: nothing is overwritten.")


def _exclusions(settings: Settings) -> list[str]:
    """What is made anew; databases go into the archive as consistent copies. A student's files are never left out."""
    state = settings.state.resolve()
    left_out = [Path(f"{file}{more}") for file in _database_files(settings) for more in _BESIDE_DATABASE]
    left_out += [settings.hub_folder / name for name in ("hub.log", "runner.log", "up.lock", "proxy.pid")]
    left_out += [settings.work_folder]
    if settings.tls_certificate is not None:
        left_out += [state / "proxy"]  # copies of what the operator keeps elsewhere
    names = [f"--exclude=state/./{path.relative_to(state)}" for path in left_out]
    return ["--anchored", "--no-wildcards", *names]


def _extract(archive: Path, into: Path, members: Sequence[str]) -> None:
    _tar(["--extract", "--same-permissions", "--no-same-owner", f"--file={archive.resolve()}", *members], into)


def _tar(words: Sequence[str], folder: Path) -> list[str]:
    """What GNU tar has to say. It never follows a link out of a student's home."""
    try:
        done = subprocess.run(
            ["tar", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            umask=0o077,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"tar did not do its work: {error}.", remedy="Is there room on the disk?") from error
    said = [line.removeprefix("tar: ") for line in done.stderr.splitlines()]
    if done.returncode > _CHANGED_MEANWHILE or (done.returncode and "--extract" in words):
        why = said[0] if said else "tar gives no reason"
        raise BadInput(f"The archive cannot be written or read: {why}", remedy="Check the file and the free space.")
    return [line for line in said if "Warning" in line or "Cannot" in line]


@contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent`, so that moving out of it is one step; gone at the end of the block."""
    try:
        name = tempfile.mkdtemp(prefix=".axonlab-", dir=parent)
    except OSError as error:
        raise BadInput(f"{parent} cannot be written to ({error.strerror}).", remedy="Choose another folder.") from error
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name)
