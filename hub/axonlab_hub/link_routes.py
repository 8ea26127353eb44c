"""Links: their signature is the permission, so there is no token here and nothing of them is logged."""

from __future__ import annotations

import errno
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, status
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from axonlab_core.backends.disk import LINK_PATH, DiskStorage, Receiver
from axonlab_core.contract.errors import NotFound, Unavailable
from axonlab_hub.documentation import BYTES, errors
from axonlab_hub.parts import Parts, parts_of

router = APIRouter(tags=["links"], responses=errors(404, 409))
_WRITE_BYTES = 2**20
_PATH = LINK_PATH.removeprefix("api/v1") + "/{token}"


def disk_of(parts: Annotated[Parts, Depends(parts_of)]) -> DiskStorage:
    """The storage, if it is one whose links this service serves."""
    if not isinstance(parts.storage, DiskStorage):
        raise NotFound("This service's storage serves its links itself.", remedy="Ask for a new ticket.")
    return parts.storage


Disk = Annotated[DiskStorage, Depends(disk_of)]


@router.get(_PATH, response_class=FileResponse, responses=BYTES)
def read(token: str, disk: Disk) -> FileResponse:
    """The bytes of an artifact, or a range of them."""
    path = disk.locate(disk.open_link(token, "get"))
    # Never as a page of the hub's own site, whatever somebody has uploaded.
    headers = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


@router.put(_PATH, status_code=status.HTTP_204_NO_CONTENT)
async def write(token: str, disk: Disk, request: Request) -> Response:
    """Take one part of an upload."""
    receiver = await run_in_threadpool(lambda: disk.receive(disk.open_link(token, "put")))
    try:
        await _receive(receiver, request)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise Unavailable("The storage is full.", remedy="Tell the operator; then try again.") from error
    finally:
        await run_in_threadpool(receiver.abandon)  # what was finished is in its place and stays there
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(_PATH, status_code=status.HTTP_204_NO_CONTENT)
def commit(token: str, disk: Disk) -> Response:
    """Make the parts of an upload one artifact."""
    disk.commit(disk.open_link(token, "commit"))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _receive(receiver: Receiver, request: Request) -> None:
    gathered = bytearray()
    async for chunk in request.stream():
        gathered += chunk
        if len(gathered) >= _WRITE_BYTES:
            await run_in_threadpool(receiver.write, bytes(gathered))
            gathered.clear()
    await run_in_threadpool(receiver.write, bytes(gathered))
    await run_in_threadpool(receiver.finish)
