"""What the hub adds to the command `axonlab`."""

from __future__ import annotations

from pathlib import Path

import click

_STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".axonlab"),
    show_default=True,
    help="Folder that holds everything which must survive a restart.",
)
_PORT = click.option("--port", type=click.IntRange(1, 65535), help="Where the hub listens. [default: 8000]")


@click.command(short_help="Run a classroom on this machine until Ctrl+C.")
@_STATE
@_PORT
def up(state: Path, port: int | None) -> None:
    """Run a classroom on this machine: JupyterHub, the service and a CPU runner, on loopback, until Ctrl+C.

    Passwords are generated once and printed. All students share one system user of this machine: for people
    who trust one another, or for trying it out.
    """
    from axonlab_hub.settings import Settings
    from axonlab_hub.up import up as run

    settings = Settings.from_environment(state=state, bind_url=None if port is None else f"http://127.0.0.1:{port}")
    run(settings, say=click.echo)


@click.command(short_help="Show the whole way once: from a notebook to a model and back.")
@_STATE
@_PORT
def demo(state: Path, port: int | None) -> None:
    """Run the first lesson inside a student's own server, through hub, service and runner, and say what came out."""
    from axonlab_hub.demo import demo as run
    from axonlab_hub.settings import Settings

    settings = Settings.from_environment(state=state, bind_url=None if port is None else f"http://127.0.0.1:{port}")
    run(settings, say=click.echo)
