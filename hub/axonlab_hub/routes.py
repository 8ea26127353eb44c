"""What people call: upload, submit, watch, cancel, fetch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from starlette.concurrency import run_in_threadpool

from axonlab_core.contract.base import Identifier
from axonlab_core.contract.events import EventsAnswer
from axonlab_core.contract.jobs import ArtifactsAnswer, Job, SubmitRequest
from axonlab_core.contract.tickets import Ticket, UploadAnswer, UploadRequest
from axonlab_hub.access import visible_job
from axonlab_hub.auth import Person, student
from axonlab_hub.parts import Parts, parts_of
from axonlab_hub.queueing import as_job, events_after
from axonlab_hub.waiting import job_topic

router = APIRouter()
Student = Annotated[Person, Depends(student)]
House = Annotated[Parts, Depends(parts_of)]
JobId = Annotated[Identifier, Path()]
_MAX_WAIT_S = 60


@router.post("/uploads")
def uploads(person: Student, parts: House, asked: UploadRequest) -> UploadAnswer:
    """Tickets for the blobs that this person does not have yet."""
    return parts.artifacts.uploads(person, asked)


@router.post("/jobs", status_code=status.HTTP_201_CREATED)
def submit(person: Student, parts: House, asked: SubmitRequest, response: Response) -> Job:
    """The job; with status 200 if its idempotency key is known."""
    job, new = parts.jobs.submit(person, asked)
    if not new:
        response.status_code = status.HTTP_200_OK
    return job


@router.get("/jobs/{job_id}")
def show(person: Student, parts: House, job_id: JobId) -> Job:
    """The job."""
    with parts.store.read() as rows:
        return as_job(rows, visible_job(rows, person, job_id), parts.clock())


@router.get("/jobs/{job_id}/events")
async def events(
    person: Student,
    parts: House,
    request: Request,
    job_id: JobId,
    *,
    after: Annotated[int, Query(ge=0)] = 0,
    wait: Annotated[float, Query(ge=0, le=_MAX_WAIT_S)] = 0,
) -> EventsAnswer:
    """The events after number `after`, as soon as there are any."""

    def look() -> tuple[bool, EventsAnswer]:
        with parts.store.read() as rows:
            answer = events_after(rows, visible_job(rows, person, job_id), after)
        return bool(answer.events) or answer.state.is_final, answer

    return await parts.notifier.until(look, topic=job_topic(job_id), wait_s=wait, gone=request.is_disconnected)


@router.get("/jobs/{job_id}/artifacts")
def artifacts(person: Student, parts: House, job_id: JobId) -> ArtifactsAnswer:
    """The files of the job's result bundle."""
    return parts.artifacts.listing(person, job_id)


@router.get("/jobs/{job_id}/artifacts/{path:path}/ticket")
def ticket(person: Student, parts: House, job_id: JobId, path: str) -> Ticket:
    """Permission to download one file of the bundle."""
    return parts.artifacts.download(person, job_id, path)


@router.post("/jobs/{job_id}/cancel")
async def cancel(person: Student, parts: House, job_id: JobId) -> Job:
    """The job, cancelled or asked to stop."""
    return await run_in_threadpool(parts.jobs.cancel, person, job_id)
