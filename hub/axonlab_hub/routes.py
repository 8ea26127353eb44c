"""What people call: upload, submit, watch, cancel, fetch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from axonlab_core.contract.base import Identifier
from axonlab_core.contract.events import EventsAnswer
from axonlab_core.contract.jobs import ArtifactsAnswer, Job, ResubmitRequest, SubmitRequest
from axonlab_core.contract.listing import JobsAnswer, JobsQuery
from axonlab_core.contract.tickets import Ticket, UploadAnswer, UploadRequest
from axonlab_hub.access import visible_job
from axonlab_hub.auth import Person, student
from axonlab_hub.documentation import LOG, errors, errors_beside_text, known
from axonlab_hub.listing import list_jobs
from axonlab_hub.logs import log_page
from axonlab_hub.options import MAX_WAIT_S
from axonlab_hub.parts import Parts, parts_of
from axonlab_hub.queueing import as_job, events_after
from axonlab_hub.waiting import job_topic

router = APIRouter(tags=["jobs"], responses=errors())
Student = Annotated[Person, Depends(student)]
MAX_NUMBER = 2**31 - 1
House = Annotated[Parts, Depends(parts_of)]
JobId = Annotated[Identifier, Path()]
FilePath = Annotated[str, Path(max_length=512, pattern=r"^[^\x00-\x1f]+$")]


@router.post("/uploads")
def uploads(person: Student, parts: House, asked: UploadRequest) -> UploadAnswer:
    """Tickets for the blobs that neither this person nor the course that they name has yet."""
    return parts.artifacts.uploads(person, asked)


@router.get("/jobs", responses=errors(404))
def jobs(person: Student, parts: House, asked: Annotated[JobsQuery, Query()]) -> JobsAnswer:
    """Jobs, newest first: one's own; with a course of which one is staff, everybody's of it."""
    with parts.store.read() as rows:
        return list_jobs(rows, person, asked, parts.clock())


@router.post("/jobs", status_code=status.HTTP_201_CREATED, responses=known(Job) | errors(404, 409))
def submit(person: Student, parts: House, asked: SubmitRequest, response: Response) -> Job:
    """The job; with status 200 if its idempotency key is known."""
    job, new = parts.jobs.submit(person, asked)
    if not new:
        response.status_code = status.HTTP_200_OK
    return job


@router.get("/jobs/{job_id}", responses=errors(404))
def show(person: Student, parts: House, job_id: JobId) -> Job:
    """The job."""
    with parts.store.read() as rows:
        return as_job(rows, visible_job(rows, person, job_id), parts.clock())


@router.get("/jobs/{job_id}/events", responses=errors(404))
async def events(
    person: Student,
    parts: House,
    request: Request,
    job_id: JobId,
    *,
    after: Annotated[int, Query(ge=0, le=MAX_NUMBER)] = 0,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> EventsAnswer:
    """The events after number `after`, as soon as there are any."""

    def look() -> tuple[bool, EventsAnswer]:
        with parts.store.read() as rows:
            answer = events_after(rows, visible_job(rows, person, job_id), after)
        return bool(answer.events) or answer.state.is_final, answer

    return await parts.notifier.until(look, topic=job_topic(job_id), wait_s=wait, gone=request.is_disconnected)


@router.get("/jobs/{job_id}/log", response_class=PlainTextResponse, responses=errors_beside_text(404) | LOG)
def log(
    person: Student, parts: House, job_id: JobId, after: Annotated[int, Query(ge=0, le=MAX_NUMBER)] = 0
) -> PlainTextResponse:
    """The job's log as text, after event number `after`, a page at a time. To follow it, read the events."""
    with parts.store.read() as rows:
        page = log_page(rows, visible_job(rows, person, job_id), after)
    headers = {
        "Axonlab-Next-After": str(page.next_after),
        "Axonlab-More": "true" if page.more else "false",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return PlainTextResponse(page.text, headers=headers)


@router.get("/jobs/{job_id}/artifacts", responses=errors(404))
def artifacts(person: Student, parts: House, job_id: JobId) -> ArtifactsAnswer:
    """The files of the job's result bundle."""
    return parts.artifacts.listing(person, job_id)


@router.get("/jobs/{job_id}/artifacts/{path:path}/ticket", responses=errors(404))
def ticket(person: Student, parts: House, job_id: JobId, path: FilePath) -> Ticket:
    """Permission to download one file of the bundle."""
    return parts.artifacts.download(person, job_id, path)


@router.post("/jobs/{job_id}/cancel", responses=errors(404, 409))
async def cancel(person: Student, parts: House, job_id: JobId) -> Job:
    """The job, cancelled or asked to stop."""
    return await run_in_threadpool(parts.jobs.cancel, person, job_id)


@router.post(
    "/jobs/{job_id}/resubmit",
    status_code=status.HTTP_201_CREATED,
    responses=known(Job) | errors(404, 409),
)
def resubmit(
    person: Student, parts: House, job_id: JobId, response: Response, asked: ResubmitRequest | None = None
) -> Job:
    """A new job that asks for the same as one that is over; with status 200 if its idempotency key is known."""
    job, new = parts.jobs.resubmit(person, job_id, asked or ResubmitRequest())
    if not new:
        response.status_code = status.HTTP_200_OK
    return job
