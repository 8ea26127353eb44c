"""What the pages show, put together from the rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.datastructures import QueryParams

from axonlab_core.contract.curve import curves_html
from axonlab_core.contract.errors import BadInput, NotFound
from axonlab_core.contract.jobs import Job, TrainSpec
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.listing import JobsAnswer, JobsQuery
from axonlab_core.contract.options import OptionsAnswer
from axonlab_core.contract.plain_words import in_plain_words
from axonlab_core.contract.states import JobState
from axonlab_core.contract.tickets import FileBlob
from axonlab_hub.access import visible_job
from axonlab_hub.auth import Person
from axonlab_hub.forecast import Forecast
from axonlab_hub.listing import list_jobs
from axonlab_hub.options import options_for
from axonlab_hub.pages.pictures import MAX_PICTURE_BYTES
from axonlab_hub.pages.timeline import Story, Timelines
from axonlab_hub.parts import Parts
from axonlab_hub.queueing import as_job

PAGE_JOBS = 25
_OPEN = (JobState.queued, JobState.running)
_MAX_OPEN = 200
_PICTURES = 24
_FIRST = ("executed.ipynb", "model/model.safetensors", "model/card.md", "metrics.json", "job.json")


class JobView(NamedTuple):
    """One job, as its page shows it."""

    job: Job
    story: Story
    curves: str
    """As HTML."""
    files: tuple[FileBlob, ...]
    pictures: tuple[FileBlob, ...]
    took_s: float | None
    may_change: bool


class ListView(NamedTuple):
    """A page of a list of jobs, and the addresses of the pages beside it."""

    answer: JobsAnswer
    asked: JobsQuery
    older: str | None
    newest: str | None
    here: str


class CourseView(NamedTuple):
    """A course, as its staff sees it."""

    course: str
    open_jobs: JobsAnswer
    options: OptionsAnswer
    all_jobs: ListView


def job_view(parts: Parts, timelines: Timelines, person: Person, job_id: str) -> JobView:
    """Everything about one job that this person may see."""
    now = parts.clock()
    with parts.store.read() as rows:
        row = visible_job(rows, person, job_id)
        job = as_job(rows, row, now, Forecast(rows, now))
        story = timelines.of(rows, row)
    files = parts.artifacts.listing(person, job_id).files
    pictures = [file for file in files if file.path.endswith(".png") and file.size_bytes <= MAX_PICTURE_BYTES]
    return JobView(
        job=job,
        story=story,
        curves=curves_html(story.curves),
        files=tuple(sorted(files, key=lambda file: (_rank(file.path), file.path))),
        pictures=tuple(sorted(pictures, key=lambda file: (".overlay." not in file.path, file.path))[:_PICTURES]),
        took_s=_took_s(job, now),
        may_change=job.owner == person.name,
    )


def asked_of(params: QueryParams, **fixed: str) -> JobsQuery:
    """What a list's address asks for; fields of its form that were left empty do not count.

    Raises
    ------
    BadInput
        If it asks for what there is not.
    """
    values: dict[str, object] = {"limit": PAGE_JOBS}
    for name in params:
        given = [value for value in params.getlist(name) if value.strip()]
        if given:
            values[name] = given if name in {"state", "kind"} else given[-1].strip()
    try:
        return JobsQuery.model_validate(values | fixed)
    except ValidationError as error:
        raise BadInput(in_plain_words(error.errors()), remedy="Choose from the form.") from error


def list_view(parts: Parts, person: Person, asked: JobsQuery) -> ListView:
    """The jobs that were asked for."""
    with parts.store.read() as rows:
        answer = list_jobs(rows, person, asked, parts.clock())
    older = None if answer.next_before is None else _address(asked, answer.next_before)
    newest = None if asked.before is None else _address(asked, None)
    return ListView(answer, asked, older, newest, _address(asked, asked.before))


def course_view(parts: Parts, person: Person, course: str, asked: JobsQuery) -> CourseView:
    """The course's queue, the machines, and everybody's jobs.

    Raises
    ------
    NotFound
        If this person is not one of its staff.
    """
    if not person.teaches(course):
        raise NotFound(f"There is no course {course} of which you are staff.", remedy="Go to your own jobs.")
    now = parts.clock()
    waiting = JobsQuery(course=course, state=_OPEN, limit=_MAX_OPEN)
    with parts.store.read() as rows:
        open_jobs = list_jobs(rows, person, waiting, now)
        options = options_for(rows, person, parts.settings, now)
    ordered = sorted(open_jobs.jobs, key=lambda job: (job.state != JobState.running, job.created_at))
    return CourseView(
        course=course,
        open_jobs=open_jobs.model_copy(update={"jobs": tuple(ordered)}),
        options=options,
        all_jobs=list_view(parts, person, asked),
    )


def title(job: Job) -> str:
    """How a job is called on a page."""
    return job.spec.name or f"{'Training' if job.spec.kind is Kind.train else 'Segmentation'} {job.id[:6]}"


def budget(job: Job) -> str:
    """How much a job was to do."""
    spec = job.spec
    if not isinstance(spec, TrainSpec):
        return ""
    return f"{spec.steps} steps" if spec.steps is not None else f"{spec.minutes:g} minutes"


def _address(asked: JobsQuery, before: str | None) -> str:
    given = asked.model_dump(mode="json", exclude_none=True, exclude={"course", "limit", "before"})
    return "?" + urlencode(given | ({"before": before} if before else {}), doseq=True)


def _rank(path: str) -> int:
    return _FIRST.index(path) if path in _FIRST else len(_FIRST)


def _took_s(job: Job, now: datetime) -> float | None:
    if job.started_at is None:
        return None
    return max(timedelta(), (job.finished_at or now) - job.started_at).total_seconds()
