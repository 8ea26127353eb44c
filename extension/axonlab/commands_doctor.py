"""`axonlab doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from axonlab.doctor import Check

_MARKS = {"ok": "ok     ", "note": "note   ", "failed": "FAILED ", "skipped": "skipped"}


@click.command()
@click.option("--only", type=click.Choice(["connection", "machine"]), help="Look at one of the two alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def doctor(only: Literal["connection", "machine"] | None, as_json: bool) -> None:
    """Check everything between you and a result, and say what to do about what does not work.

    The connection: cache, address and token, hub, service, the token's scopes, courses, storage (a few bytes up, a
    file back), runners for each kind of job. The machine, where the hub's or the runner's part is installed: node,
    proxy, GPU, disk, torch.

    Ends with 0 if nothing failed, 2 if you can change what did, 1 if only the operator can.

    \b
    Examples:
      axonlab doctor
      axonlab doctor --only machine
      axonlab doctor --json | jq '.checks[] | select(.status == "failed")'
    """
    from axonlab.doctor import exit_code

    checks: list[Check] = []
    for check in _looks(only):
        checks.append(check)
        if not as_json:
            click.echo(f"{_MARKS[check.status]}  {check.name}: {check.said}")
            if check.remedy:
                click.echo(f"           → {check.remedy}")
    if as_json:
        found = [check.model_dump(mode="json") for check in checks]
        click.echo(json.dumps({"exit_code": exit_code(checks), "checks": found}, indent=2))
    sys.exit(exit_code(checks))


def _looks(only: Literal["connection", "machine"] | None) -> Iterator[Check]:
    from axonlab.doctor import check_connection
    from axonlab.doctor_machine import check_machine

    if only != "machine":
        yield from check_connection()
    if only != "connection":
        yield from check_machine(Path.cwd())
