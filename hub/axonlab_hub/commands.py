"""What the hub adds to the command `axonlab`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

_HERE = Path(".axonlab")
_LAB = Path("/var/lib/axonlab")
_HTTPS = 443

_STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder that holds everything which must survive a restart. [default: {_HERE}, of a lab server {_LAB}]",
)
_PORT = click.option(
    "--port", type=click.IntRange(1, 65535), help="Where the hub listens. [default: 8000, of a lab server 443]"
)
_FILE = click.Path(path_type=Path, dir_okay=False)
_COURSE = click.option("--course", metavar="NAME", help="The course's name, e.g. bio301. [default: axons]")
_OF_A_LAB = (
    click.option("--roster", type=_FILE, help="CSV file with a column `id`, and if you like `role`."),
    click.option("--host", metavar="NAME", help="The name by which people reach it. [default: this machine's]"),
    click.option(
        "--homes", type=click.Path(path_type=Path, file_okay=False), help="Everybody's home. [default: /home/axonlab]"
    ),
    click.option("--user-prefix", metavar="TEXT", help="What system users' names begin with. [default: axonlab-]"),
    click.option("--tls-certificate", type=_FILE, help="Certificate with its chain, PEM. [default: self-signed]"),
    click.option("--tls-key", type=_FILE, help="Its private key, PEM."),
)


def _of_a_lab(command: Any) -> Any:
    for option in reversed(_OF_A_LAB):
        command = option(command)
    return command


@click.command(short_help="Run a classroom on this machine until Ctrl+C.")
@click.option("--lan", is_flag=True, help="A lab server for one course: own passwords, own system users, TLS.")
@_COURSE
@_of_a_lab
@_STATE
@_PORT
def up(lan: bool, course: str | None, state: Path | None, port: int | None, **of_a_lab: Any) -> None:
    """Run a classroom on this machine until Ctrl+C: JupyterHub, the service and a runner.

    Without --lan it listens on loopback, with one password for students and one for teachers, and all students
    share one system user: for people who trust one another, or for trying it out.

    With --lan (as root, on Linux) it is for a course: everybody on the roster has a password and a system user of
    their own, and it listens to the network by TLS.

    \b
    Examples:
      axonlab up
      sudo axonlab up --lan --course bio301 --roster roster.csv
      sudo axonlab up --lan --course bio301 --roster roster.csv --host lab.example.edu \\
          --tls-certificate fullchain.pem --tls-key privkey.pem
    """
    from axonlab_hub.up import up as run

    if lan:
        settings = _lab_settings(course, state, port, **of_a_lab)
    else:
        if given := [name for name, value in of_a_lab.items() if value is not None]:
            raise click.UsageError(f"--{given[0].replace('_', '-')} is for a lab server: add --lan.")
        settings = _settings(course, state, port)
    run(settings, say=click.echo)


@click.command(short_help="Show the whole way once: from a notebook to a model and back.")
@_STATE
@_PORT
def demo(state: Path | None, port: int | None) -> None:
    """Run the first lesson inside a student's own server, through hub, service and runner, and say what came out.

    \b
    Example:
      axonlab demo
    """
    from axonlab_hub.demo import demo as run

    run(_settings(None, state, port), say=click.echo)


@click.command(short_help="Write everything that must survive into one archive.")
@_STATE
@click.option("--lan", is_flag=True, help="Of a lab server.")
@click.argument("archive", type=_FILE)
def backup(archive: Path, state: Path | None, lan: bool) -> None:
    """Write databases, files, homes and secrets of a classroom into ARCHIVE (.tar.gz, .tar.zst, …).

    The classroom may be running. The archive holds passwords' hashes and secrets: keep it where only you can read it.

    \b
    Examples:
      axonlab backup axonlab-2026-11-23.tar.gz
      sudo axonlab backup --lan /backup/bio301-2026-11-23.tar.zst
    """
    from axonlab_hub.backup import back_up
    from axonlab_hub.lab.kept import kept

    settings = kept(state or _LAB) if lan else _settings(None, state, None)
    size_bytes, unread = back_up(settings, archive)
    click.echo(f"{archive}: {size_bytes / 1e6:.1f} MB")
    for said in unread:
        click.echo(f"  not in it: {said}", err=True)


@click.command(short_help="Bring a classroom back from an archive.")
@_STATE
@click.argument("archive", type=_FILE)
def restore(archive: Path, state: Path | None) -> None:
    """Bring back what ARCHIVE holds: into a state folder (and homes) where nothing is yet.

    A lab server's system users are made where they are missing. Certificates that were given to it are not in the
    archive.

    \b
    Examples:
      axonlab restore axonlab-2026-11-23.tar.gz --state .axonlab
      sudo axonlab restore /backup/bio301-2026-11-23.tar.zst
    """
    from axonlab_hub.backup import restore as bring_back
    from axonlab_hub.lab.kept import settings_in

    settings = settings_in(archive, state) or _settings(None, state, None)
    click.echo(f"{bring_back(archive, settings)} is back. Start it as before.")


@click.group(short_help="Look after a lab server.")
def lab() -> None:
    """Look after a lab server, the one that `axonlab up --lan` runs."""


@lab.command(short_help="Let new people of the roster in.")
@_STATE
def admit(state: Path | None) -> None:
    """Give a system user and a first password to everybody on the roster who has none, while the server runs.

    \b
    Example:
      sudo axonlab lab admit
    """
    from axonlab_hub.lab.kept import kept
    from axonlab_hub.lab.lab import admit as let_in
    from axonlab_hub.lab.roster import read_roster

    settings = kept(state or _LAB)
    made = let_in(settings, read_roster(settings.roster))
    where = f" Their passwords are in {settings.first_passwords_file}." if made else ""
    click.echo(f"{len(made)} let in{': ' if made else ''}{', '.join(made)}.{where}")


@lab.command(short_help="A new password for somebody who forgot theirs.")
@_STATE
@click.argument("name")
def password(name: str, state: Path | None) -> None:
    """Make a new password for NAME and print it.

    \b
    Example:
      sudo axonlab lab password ana
    """
    from axonlab_hub.lab.first_passwords import replace_password
    from axonlab_hub.lab.kept import kept

    click.echo(replace_password(kept(state or _LAB), name))


@lab.command(short_help="The systemd unit that runs it.")
@_COURSE
@_of_a_lab
@_STATE
@_PORT
@click.option("--gpu", is_flag=True, help="Its runner may use the machine's GPU.")
def unit(course: str | None, state: Path | None, port: int | None, gpu: bool, **of_a_lab: Any) -> None:
    """Print a systemd unit for `axonlab up --lan` with these options.

    \b
    Example:
      axonlab lab unit --course bio301 --roster /etc/axonlab/roster.csv | sudo tee /etc/systemd/system/axonlab.service
      sudo systemctl enable --now axonlab
    """
    from axonlab_hub.lab.unit import unit as text

    settings = _lab_settings(course, state, port, **of_a_lab)
    words = ["--lan", "--course", settings.course, "--state", str(settings.state)]
    # By name: the machine may be called otherwise when it starts.
    given = {"port": port, **of_a_lab, "host": urlsplit(settings.url).hostname}
    for name, value in given.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value.resolve() if isinstance(value, Path) else value)]
    click.echo(text(words, course=settings.course, gpu=gpu), nl=False)


def _settings(course: str | None, state: Path | None, port: int | None) -> Any:
    from axonlab_hub.settings import Settings

    url = None if port is None else f"http://127.0.0.1:{port}"
    return Settings.from_environment(course=course, state=state or _HERE, bind_url=url)


def _lab_settings(course: str | None, state: Path | None, port: int | None, **of_a_lab: Any) -> Any:
    import re
    import socket

    from axonlab_hub.settings import Settings

    if course is None:
        raise click.UsageError("A lab server is for one course: add --course NAME.")
    if of_a_lab["roster"] is None:
        raise click.UsageError("A lab server lets in who is on its roster: add --roster FILE.")
    number = port or _HTTPS
    host = of_a_lab["host"] or socket.getfqdn()
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", host):
        raise click.UsageError(f"--host {host!r} is no name of a machine: write lab.example.edu, or its address.")
    if of_a_lab["host"] is None and host.startswith("localhost"):
        raise click.UsageError("This machine does not know its name: add --host NAME.")
    files = {name: value.resolve() if isinstance(value, Path) else value for name, value in of_a_lab.items()}
    del files["host"]
    return Settings.from_environment(
        lan=True,
        course=course,
        state=(state or _LAB).resolve(),
        bind_url=f"https://0.0.0.0:{number}",
        public_url=f"https://{host}" + ("" if number == _HTTPS else f":{number}"),
        **files,
    )
