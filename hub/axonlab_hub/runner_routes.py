"""What runners call: ask for work, and claim it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool

from axonlab_core.contract.base import Identifier
from axonlab_core.contract.runs import Claim, ClaimRequest, NextAnswer, NextRequest
from axonlab_hub.auth import Person, runner
from axonlab_hub.documentation import errors
from axonlab_hub.parts import Parts, parts_of
from axonlab_hub.queueing import next_job, note_runner
from axonlab_hub.waiting import QUEUE

router = APIRouter(tags=["runners"], responses=errors())
Runner = Annotated[Person, Depends(runner)]
House = Annotated[Parts, Depends(parts_of)]
JobId = Annotated[Identifier, Path()]
_MAX_NEXT_WAIT_S = 30.0


@router.post("/runner/next")
async def ask(_: Runner, parts: House, request: Request, asked: NextRequest) -> NextAnswer:
    """The job to claim, as soon as there is one that this machine can take."""

    def note() -> None:
        with parts.store.write() as rows:
            note_runner(rows, asked.capabilities, parts.clock())

    def look() -> tuple[bool, NextAnswer]:
        with parts.store.read() as rows:
            answer = next_job(rows, asked.capabilities)
        return answer.job_id is not None, answer

    await run_in_threadpool(note)
    wait_s = min(asked.wait_s, _MAX_NEXT_WAIT_S)
    return await parts.notifier.until(look, topic=QUEUE, wait_s=wait_s, gone=request.is_disconnected)


@router.post("/runner/jobs/{job_id}/claim", responses=errors(404, 409))
def claim(_: Runner, parts: House, job_id: JobId, asked: ClaimRequest) -> Claim:
    """The job for this runner."""
    return parts.runs.claim(job_id, asked)
