"""The command `axonlab`, put together from what each installed process brings (`axonlab.commands`)."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from axonlab_core import __version__
from axonlab_core.contract.errors import AxonlabError, UserError

GROUP = "axonlab.commands"
_USER_FAULT = 2
_PLATFORM_FAULT = 1
_INTERRUPTED = 130


class _Commands(click.Group):
    """Subcommands by entry point; only the one that is asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_installed()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = _installed().get(cmd_name)
        if found is None:
            return super().get_command(ctx, cmd_name)
        try:
            return found.load()
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("axonlab"):
                raise
            missing = error.name
            return _unavailable(cmd_name, missing)


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _unavailable(name: str, missing: str) -> click.Command:
    """A command that says which part of Axonlab is not installed here."""

    @click.command(name, help=f"Not available here: the package {missing} is not installed.", add_help_option=False)
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def command(rest: tuple[str, ...]) -> None:
        del rest
        raise UserError(
            f"`axonlab {name}` needs {missing}, which is not installed here.",
            remedy="Install the extra of that process, e.g. pip install 'axonlab[hub,runner,learning]'.",
        )

    return command


_COMPLETION = """\b
Completion with the tabulator key; a line for the shell's own start-up file:
  bash  ~/.bashrc                      eval "$(_AXONLAB_COMPLETE=bash_source axonlab)"
  zsh   ~/.zshrc                       eval "$(_AXONLAB_COMPLETE=zsh_source axonlab)"
  fish  ~/.config/fish/config.fish     _AXONLAB_COMPLETE=fish_source axonlab | source
"""


@click.group(
    cls=_Commands,
    epilog=_COMPLETION,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="axonlab")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
def axonlab(verbose: bool) -> None:
    """A classroom for AI on microscopy images."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs, and a link's URL is its permission


def main() -> None:
    """Run the command line; ends with 0, 1 (not your doing) or 2 (something you can change)."""
    try:
        status = axonlab.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(_USER_FAULT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(_INTERRUPTED)
    except AxonlabError as error:
        click.echo(f"Error: {error.message}", err=True)
        if error.remedy:
            click.echo(f"  → {error.remedy}", err=True)
        sys.exit(_USER_FAULT if isinstance(error, UserError) else _PLATFORM_FAULT)
