"""System users: one for each person, and one each for service, runner and proxy."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from axonlab_core.contract.errors import BadInput, Conflict, Unavailable

_TIMEOUT_S = 30.0
_COPY_S = 3600.0
_LONGEST = 32
_SAID_BYTES = 2048


def person(prefix: str, name: str, homes: Path) -> pwd.struct_passwd:
    """The system user of that person, with a home that nobody else may enter; the first call makes them.

    Raises
    ------
    Conflict
        If a user of that name is there that is not of this lab server.
    """
    known, home = person_without_home(prefix, name, homes), homes / name
    try:
        found = home.lstat()
    except FileNotFoundError:
        _make_home(home, known)
        return known
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != known.pw_uid:
        raise Conflict(
            f"{home} is there already, and is not a folder of {known.pw_name}'s.",
            remedy=f"If it is theirs: chown -hR {known.pw_name}: {home}. Else move it away.",
        )
    return known


def person_without_home(prefix: str, name: str, homes: Path) -> pwd.struct_passwd:
    """The system user of that person; the first call makes it, and its home waits.

    It has no password and is out of date from its first day, so that neither a key for SSH nor a cron job lets anybody
    use it past the hub, which needs neither.

    Raises
    ------
    Conflict
        If a user of that name is there that is not of this lab server.
    """
    account, home = prefix + name, homes / name
    known = _find(account)
    if known is None:
        out_of_date = ("--expiredate", "1970-01-02")
        _useradd(
            "--no-create-home", "--home-dir", str(home), "--user-group", *out_of_date, "--shell", "/bin/bash", account
        )
        known = pwd.getpwnam(account)
    elif Path(known.pw_dir) != home or known.pw_uid == 0:
        raise Conflict(
            f"There is a system user {account} already, whose home is {known.pw_dir} and not {home}.",
            remedy="Give that lab server's --homes, or another --user-prefix.",
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


def give(folder: Path, owner: str) -> None:
    """Give a folder that nobody else can reach, and all in it, to a system user; links are given, not followed."""
    subprocess.run(["chown", "-hR", f"{owner}:", folder], check=True, timeout=_COPY_S, capture_output=True)


def run_as(who: pwd.struct_passwd, command: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> None:
    """Run a command as that user, with an environment of its own.

    Raises
    ------
    Unavailable
        If it does not end well; with its last words.
    """
    environment = {"HOME": who.pw_dir, "USER": who.pw_name, "LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "")}
    with tempfile.TemporaryFile() as errors:  # a file, since what is written may have no end
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
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{who.pw_name} cannot run {command[0]}: {error}.", remedy="See the log.") from error
        if done.returncode != 0:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _SAID_BYTES))
            said = errors.read().decode(errors="replace").strip().splitlines()
            last = said[-1] if said else f"it ended with status {done.returncode}"
            raise Unavailable(f"{who.pw_name} ran {command[0]} in vain: {last}", remedy="See the log.")


def _make_home(home: Path, who: pwd.struct_passwd) -> None:
    """Make a home beside and move it into place: whoever finds it finds it complete and private."""
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=home.parent))
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
            f"The system user {words[-1]} cannot be made: {error.stderr.strip()}", remedy="Mend that, then try again."
        ) from error


def _find(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _nologin() -> str:
    return next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if Path(path).is_file()), "/bin/false")
