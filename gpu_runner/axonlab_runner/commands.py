"""What the runner adds to the command `axonlab`."""

from __future__ import annotations

from pathlib import Path

import click

from axonlab_core.contract.kinds import Kind


@click.command(short_help="Take jobs from a service and carry them out.")
@click.option("--service", metavar="URL", help="The service's address, e.g. https://hub.example.edu/services/axonlab.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the runner's token, mode 600."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice([kind.value for kind in Kind]), help="Only these kinds."
)
@click.option("--once", is_flag=True, help="Take one job, or none if none is waiting, and end.")
@click.option("--name", help="How this runner is called in lists; the machine's name if not given.")
@click.option("--work-dir", type=click.Path(path_type=Path, file_okay=False), help="Where runs have their folders.")
@click.option("--grace", "grace_s", type=float, help="Seconds between asking a kernel to stop and killing it.")
def runner(  # noqa: PLR0917 (click passes options by name)
    service: str | None,
    token_file: Path | None,
    device: str,
    kinds: tuple[str, ...],
    once: bool,
    name: str | None,
    work_dir: Path | None,
    grace_s: float | None,
) -> None:
    """Take jobs from a service and carry them out, one at a time.

    Needs outbound HTTP to the service and nothing else. SIGTERM hands a running job back with its last
    checkpoint; another runner goes on from there.

    \b
    Examples:
      axonlab runner --service https://hub.example.edu/services/axonlab --token-file runner-token
      CUDA_VISIBLE_DEVICES=1 axonlab runner --service URL --token-file FILE --device cuda --name desk-2
      axonlab runner --service URL --token-file FILE --device cpu --kind infer --once
    """
    import logging

    from axonlab_runner.sealed import seal
    from axonlab_runner.settings import Settings
    from axonlab_runner.worker import Worker

    seal()  # before the token is read
    logging.getLogger("axonlab_runner").setLevel(logging.INFO)
    settings = Settings.from_environment(
        service_url=service,
        token_file=token_file,
        device=device,
        kinds=tuple(Kind(kind) for kind in kinds) or None,
        once=once,
        name=name,
        work_dir=work_dir,
        grace_s=grace_s,
    )
    taken = Worker(settings).work()
    if settings.once and not taken:
        click.echo("No job was waiting.", err=True)
