"""System users: one for each person, and one each for service, runner and proxy."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from axonlab_core.contract.errors import BadInput, Conflict, Unavailable

_TIMEOUT_S = 30.0
_LONGEST = 32


def person(prefix: str, name: str, homes: Path) -> pwd.struct_passwd:
    """The system user of that person, with a home that nobody else may enter; the first call makes them.

    Raises
    ------
    Conflict
        If a user of that name is there that is not of this lab server.
    """
    known, home = person_without_home(prefix, name, homes), homes / name
    if not home.exists():
        homes.mkdir(parents=True, exist_ok=True, mode=0o755)
        _make_home(home, known)
    return known


def person_without_home(prefix: str, name: str, homes: Path) -> pwd.struct_passwd:
    """The system user of that person; the first call makes it, and its home waits.

    It has no password, so it cannot be logged in to from outside the hub.

    Raises
    ------
    Conflict
        If a user of that name is there that is not of this lab server.
    """
    account, home = prefix + name, homes / name
    known = _find(account)
    if known is None:
        _useradd("--no-create-home", "--home-dir", str(home), "--user-group", "--shell", "/bin/bash", account)
        known = pwd.getpwnam(account)
    elif Path(known.pw_dir) != home or known.pw_uid == 0:
        raise Conflict(
            f"There is a system user {account} already, whose home is {known.pw_dir} and not {home}.",
            remedy="Give the homes' folder with --homes, or another --user-prefix.",
        )
    return known


def account(prefix: str, purpose: str) -> pwd.struct_passwd:
    """The system user of a part of the lab server (`service`, `runner`, `proxy`); the first call makes it."""
    name = prefix + purpose
    if _find(name) is None:
        _useradd("--system", "--no-create-home", "--user-group", "--shell", _nologin(), name)
    known = pwd.getpwnam(name)
    if known.pw_uid == 0:
        raise Conflict(f"The system user {name} is root.", remedy="Give another --user-prefix.")
    return known


def folder(path: Path, *, owner: int = 0, group: int = 0, mode: int = 0o700) -> Path:
    """That folder, made if need be, with that owner, group and mode."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chown(path, owner, group, follow_symlinks=False)
    path.chmod(mode)
    return path


def run_as(who: pwd.struct_passwd, command: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> None:
    """Run a command as that user, with an environment of its own.

    Raises
    ------
    Unavailable
        If it does not end well; with its last words.
    """
    environment = {"HOME": who.pw_dir, "USER": who.pw_name, "LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "")}
    try:
        done = subprocess.run(
            command,
            user=who.pw_uid,
            group=who.pw_gid,
            extra_groups=[],
            umask=0o077,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{who.pw_name} cannot run {command[0]}: {error}.", remedy="See the hub's log.") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise Unavailable(f"{who.pw_name} ran {command[0]} in vain: {last}", remedy="See the hub's log.")


def _make_home(home: Path, who: pwd.struct_passwd) -> None:
    """Make a home beside and move it into place: whoever finds it finds it complete and private."""
    beside = home.with_name(f".{home.name}.new")
    beside.mkdir(mode=0o700)
    try:
        os.chown(beside, who.pw_uid, who.pw_gid)
        beside.rename(home)
    except OSError:
        beside.rmdir()
        raise


def _useradd(*words: str) -> None:
    if len(words[-1]) > _LONGEST:
        raise BadInput(f"{words[-1]} is too long for a system user.", remedy="Give a shorter --user-prefix.")
    program = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise Unavailable("There is no `useradd` here.", remedy="Install the package `passwd` (Debian) or `shadow`.")
    try:
        subprocess.run([program, *words], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"The system user {words[-1]} cannot be made: {error}.", remedy="Try again.") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(
            f"The system user {words[-1]} cannot be made: {error.stderr.strip()}", remedy="Run it as root."
        ) from error


def _find(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _nologin() -> str:
    return next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if Path(path).is_file()), "/bin/false")
