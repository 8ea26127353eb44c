# ruff: noqa: FAST003 (job and attempt are read by the dependency `run_call`)
"""What a run calls with its own token: live, say what happens, and end."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool

from axonlab_core.contract.base import Identifier
from axonlab_core.contract.events import EventsRequest
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.runs import (
    Accepted,
    CompleteRequest,
    FailRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
    InputsAnswer,
    OutputsAnswer,
    OutputsRequest,
    ReleaseRequest,
)
from axonlab_hub.access import RunCall
from axonlab_hub.auth import RUN_TOKEN, bearer
from axonlab_hub.documentation import errors
from axonlab_hub.parts import Parts, parts_of
from axonlab_hub.waiting import job_topic

router = APIRouter(tags=["runs"], dependencies=[Depends(RUN_TOKEN)], responses=errors(404, 409))
House = Annotated[Parts, Depends(parts_of)]
JobId = Annotated[Identifier, Path()]
_MAX_ATTEMPT = 2**31 - 1


def run_call(request: Request, job_id: JobId, attempt: Annotated[int, Path(ge=1, le=_MAX_ATTEMPT)]) -> RunCall:
    """Which run calls; whether its token is right is decided where its rows are read."""
    return RunCall(job_id=job_id, attempt=attempt, token=bearer(request))


Call = Annotated[RunCall, Depends(run_call)]


@router.post("/runs/{job_id}/{attempt}/heartbeat")
async def heartbeat(call: Call, parts: House, request: Request, asked: HeartbeatRequest) -> HeartbeatAnswer:
    """Until when the claim holds; held back while there is nothing to say."""
    expires_at, stop = await run_in_threadpool(parts.runs.renew, call)
    # Never longer than a heartbeat's pause, or a lease could end while its run is waiting for us.
    wait_s = min(asked.wait_s, parts.settings.heartbeat_s)
    if not stop and wait_s > 0:

        def look() -> tuple[bool, None]:
            return parts.runs.wants_stop(call), None

        await parts.notifier.until(look, topic=job_topic(call.job_id), wait_s=wait_s, gone=request.is_disconnected)
        if not await request.is_disconnected():
            expires_at, stop = await run_in_threadpool(parts.runs.renew, call)
    return HeartbeatAnswer(lease_expires_at=expires_at, cancel=stop)


@router.get("/runs/{job_id}/{attempt}/inputs")
def inputs(call: Call, parts: House) -> InputsAnswer:
    """Tickets for what the run needs."""
    return parts.artifacts.inputs(call)


@router.post("/runs/{job_id}/{attempt}/events")
def events(call: Call, parts: House, asked: EventsRequest) -> Accepted:
    """Take a run's events."""
    parts.runs.take_events(call, asked)
    return Accepted()


@router.post("/runs/{job_id}/{attempt}/outputs")
def outputs(call: Call, parts: House, asked: OutputsRequest) -> OutputsAnswer:
    """Tickets for what the run is about to upload."""
    return parts.artifacts.outputs(call, asked)


@router.post("/runs/{job_id}/{attempt}/complete")
def complete(call: Call, parts: House, asked: CompleteRequest) -> Job:
    """The job, succeeded."""
    return parts.runs.complete(call, asked)


@router.post("/runs/{job_id}/{attempt}/fail")
def fail(call: Call, parts: House, asked: FailRequest) -> Job:
    """The job after a run that failed."""
    return parts.runs.fail(call, asked)


@router.post("/runs/{job_id}/{attempt}/release")
def release(call: Call, parts: House, asked: ReleaseRequest) -> Job:
    """The job, queued again."""
    return parts.runs.release(call, asked)
