"""Lists: of jobs, page by page, and of models."""

from __future__ import annotations

from datetime import datetime

from axonlab_core.contract.errors import NotAllowed
from axonlab_core.contract.jobs import job_spec
from axonlab_core.contract.listing import JobsAnswer, JobsQuery
from axonlab_core.contract.models import ModelsAnswer, ModelSummary, TrainedModelEntry
from axonlab_core.contract.tickets import Blob
from axonlab_hub.access import visible_job
from axonlab_hub.admission import require_member
from axonlab_hub.auth import Person
from axonlab_hub.forecast import Forecast
from axonlab_hub.listing_rows import JobFilter
from axonlab_hub.publishing import model_entry
from axonlab_hub.queueing import as_job
from axonlab_hub.store import Rows
from axonlab_hub.tables import JobRow, ModelRow, PublishedModelRow

_MAX_MODELS = 200


def list_jobs(rows: Rows, person: Person, query: JobsQuery, now: datetime) -> JobsAnswer:
    """One's own jobs; for staff who name their course, everybody's of it.

    Raises
    ------
    NotAllowed
        If somebody else's jobs are asked for by whoever is not staff of the course named.
    NotFound
        If `before` is no job that this person sees.
    """
    staff = query.course is not None and person.teaches(query.course)
    if query.owner not in {None, person.name} and not staff:
        raise NotAllowed(
            f"The jobs of {query.owner} are not yours to list.",
            remedy="Staff see those of their course: name it (course=…).",
        )
    which = JobFilter(
        owner=query.owner if staff else person.name,
        course=query.course,
        assignment=query.assignment,
        states=query.state,
        kinds=query.kind,
        before=None if query.before is None else visible_job(rows, person, query.before),
    )
    found = rows.jobs(which, query.limit + 1)
    page = found[: query.limit]
    forecast = Forecast(rows, now)
    return JobsAnswer(
        jobs=tuple(as_job(rows, row, now, forecast) for row in page),
        next_before=page[-1].id if len(found) > len(page) else None,
    )


def list_models(rows: Rows, person: Person, course: str | None) -> ModelsAnswer:
    """The person's own models and those of their courses; with `course`, those of that course only.

    Raises
    ------
    NotAllowed
        If it is a course of somebody else.
    """
    if course is not None:
        require_member(person, course)
    found = rows.models(person.name, course, _MAX_MODELS + 1)
    courses = [course] if course is not None else list(person.courses)
    return ModelsAnswer(
        mine=tuple(_trained(job, model) for job, model in found[:_MAX_MODELS]),
        published=tuple(model_entry(row) for row in rows.published(PublishedModelRow, courses)),
        more=len(found) > _MAX_MODELS,
    )


def _trained(job: JobRow, model: ModelRow) -> TrainedModelEntry:
    return TrainedModelEntry(
        job_id=job.id,
        name=job_spec.validate_json(job.spec).name,
        course=job.course,
        assignment=job.assignment,
        model=Blob(sha256=model.sha256, size_bytes=model.size_bytes),
        summary=None if model.summary is None else ModelSummary.model_validate_json(model.summary),
        finished_at=job.finished_at or job.created_at,
    )
