"""Jobs and models on the command line: list, show, follow, stop, repeat."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState

if TYPE_CHECKING:
    from axonlab.client import Client
    from axonlab.job_handle import Job

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
_job_id = click.argument("job_id", metavar="JOB")


@click.group()
def job() -> None:
    """List, show, follow, stop or repeat jobs.

    \b
    Examples:
      axonlab job list --state running
      axonlab job logs -f JOB
    """


@job.command("list")
@click.option("--state", multiple=True, type=click.Choice([s.value for s in JobState]), help="Only such; repeatable.")
@click.option("--kind", multiple=True, type=click.Choice([k.value for k in Kind]), help="Only such; repeatable.")
@click.option("--course", help="Only of this course; its staff see everybody's.")
@click.option("--owner", help="With --course, for its staff: only this person's.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@_as_json
def list_jobs(
    *, state: tuple[str, ...], kind: tuple[str, ...], course: str | None, owner: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, newest first.

    \b
    Examples:
      axonlab job list
      axonlab job list --state queued --state running --json
      axonlab job list --course bio301 --owner ana
    """
    table = _client().jobs(state=state, kind=kind, course=course, owner=owner, limit=limit)
    if as_json:
        jobs = [job.details.model_dump(mode="json") for job in table]
        _print_json({"jobs": jobs, "more": table.more, "left_out": table.left_out})
    else:
        click.echo(repr(table))


@job.command()
@_job_id
@_as_json
def show(job_id: str, as_json: bool) -> None:
    """Show how a job is, and what to do if it failed.

    \b
    Examples:
      axonlab job show JOB
      axonlab job show JOB --json
    """
    _print_job(_client().job(job_id), as_json)


@job.command()
@_job_id
@click.option("-f", "--follow", is_flag=True, help="Go on until the job is over; Ctrl+C stops the reading only.")
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
def logs(job_id: str, follow: bool, as_json: bool) -> None:
    """Print what a job has said and printed.

    Ends with 0 also where the job failed: `axonlab job show` says how it ended.

    \b
    Examples:
      axonlab job logs JOB
      axonlab job logs -f JOB
      axonlab job logs JOB --json | grep metric
    """
    from axonlab.job_view import RunningLog

    log = RunningLog()
    last = "\n"
    for events in _client().job(job_id).batches(follow=follow):
        text = "".join(f"{event.model_dump_json()}\n" for event in events) if as_json else log.more(events)
        click.echo(text, nl=False)
        last = text[-1:] or last
    if last != "\n":
        click.echo()


@job.command()
@_job_id
@_as_json
def cancel(job_id: str, as_json: bool) -> None:
    """Stop a job; a running one stops within seconds.

    \b
    Example:
      axonlab job cancel JOB
    """
    _print_job(_client().job(job_id).cancel(), as_json)


@job.command()
@_job_id
@_as_json
def resubmit(job_id: str, as_json: bool) -> None:
    """Ask for a job that is over once more, as a new job.

    \b
    Examples:
      axonlab job resubmit JOB
      axonlab job logs -f "$(axonlab job resubmit JOB --json | jq -r .id)"
    """
    _print_job(_client().job(job_id).resubmit(), as_json)


@click.command()
@click.option("--course", help="Only what this course offers.")
@_as_json
def models(course: str | None, as_json: bool) -> None:
    """List the models that you may segment with: your own, newest first, and your courses'.

    \b
    Examples:
      axonlab models
      axonlab models --course bio301 --json
    """
    table = _client().models(course)
    if as_json:
        _print_json(table.answer.model_dump(mode="json"))
    else:
        click.echo(repr(table))


def _client() -> Client:
    from axonlab.commands import CONNECT, reach_hub

    return reach_hub(CONNECT)


def _print_json(found: Any) -> None:
    click.echo(json.dumps(found, indent=2))


def _print_job(shown: Job, as_json: bool) -> None:
    from axonlab.comparison import text_table
    from axonlab.job_words import job_lines

    if as_json:
        _print_json(shown.details.model_dump(mode="json"))
    else:
        (first, *rest) = job_lines(shown.details)
        click.echo(text_table(first, [*rest, ("page", shown.page_url)]))
