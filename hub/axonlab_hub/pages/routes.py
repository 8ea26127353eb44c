"""The pages' addresses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from axonlab_core.contract.base import CourseName
from axonlab_core.contract.errors import Conflict, NotFound
from axonlab_core.contract.jobs import ResubmitRequest
from axonlab_core.contract.keys import result_key
from axonlab_hub.access import visible_job
from axonlab_hub.pages import pictures, reports
from axonlab_hub.pages.forms import read_form
from axonlab_hub.pages.rendering import STATIC, if_changed, render, static_version
from axonlab_hub.pages.session import Visitor, reader, require_form_token, require_same_site, visitor
from axonlab_hub.pages.timeline import Timelines
from axonlab_hub.pages.views import asked_of, course_view, job_view, list_view
from axonlab_hub.routes import MAX_NUMBER, FilePath, House, JobId
from axonlab_hub.waiting import job_topic

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Visitor, Depends(reader)]
Anyone = Annotated[Visitor, Depends(visitor)]
_MAX_WAIT_S = 25
_STATIC = {"style.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}
_A_YEAR = "public, max-age=31536000, immutable"


def timelines_of(request: Request) -> Timelines:
    """The timelines that this process keeps."""
    timelines: Timelines = request.app.state.timelines
    return timelines


Stories = Annotated[Timelines, Depends(timelines_of)]


@router.get("/")
def my_jobs(request: Request, who: Reader, parts: House) -> Response:
    """One's own jobs."""
    return render(request, "jobs.html", who=who, view=list_view(parts, who.person, asked_of(request.query_params)))


@router.get("/live")
def my_jobs_live(request: Request, who: Anyone, parts: House) -> Response:
    """The part of one's list that changes; it holds no form. A status 304 says that it is as it was."""
    return if_changed(
        request,
        render(request, "jobs_live.html", who=who, view=list_view(parts, who.person, asked_of(request.query_params))),
    )


@router.get("/courses/{course}/live")
def course_live(request: Request, who: Anyone, parts: House, course: CourseName) -> Response:
    """The parts of a course's page that change, as for one's own list."""
    view = course_view(parts, who.person, course, asked_of(request.query_params, course=course))
    return if_changed(request, render(request, "course_live_parts.html", who=who, view=view))


@router.get("/courses/{course}")
def course(request: Request, who: Reader, parts: House, course: CourseName) -> Response:
    """For staff: queue, machines, and everybody's jobs."""
    asked = asked_of(request.query_params, course=course)
    return render(request, "course.html", who=who, view=course_view(parts, who.person, course, asked))


@router.get("/jobs/{job_id}")
def job(request: Request, who: Reader, parts: House, stories: Stories, job_id: JobId) -> Response:
    """One job."""
    return render(request, "job.html", who=who, view=job_view(parts, stories, who.person, job_id))


@router.get("/jobs/{job_id}/live")
async def live(
    request: Request,
    who: Anyone,
    parts: House,
    stories: Stories,
    job_id: JobId,
    *,
    after: Annotated[int, Query(ge=0, le=MAX_NUMBER)] = 0,
    wait: Annotated[float, Query(ge=0, le=_MAX_WAIT_S)] = 0,
) -> Response:
    """The part of a job's page that changes, as soon as something has happened after event number `after`.

    It holds no form and so nothing that a form carries.
    """

    def look() -> tuple[bool, bool]:
        with parts.store.read() as rows:
            row = visible_job(rows, who.person, job_id)
        return row.last_event > after, True

    await parts.notifier.until(look, topic=job_topic(job_id), wait_s=wait, gone=request.is_disconnected)

    def answer() -> Response:
        return render(request, "live.html", who=who, view=job_view(parts, stories, who.person, job_id))

    return await run_in_threadpool(answer)


@router.post("/jobs/{job_id}/cancel")
async def cancel(request: Request, who: Anyone, parts: House, job_id: JobId) -> Response:
    """Ask a job to stop."""
    await _own_form(request, who)
    await run_in_threadpool(parts.jobs.cancel, who.person, job_id)
    return _to_job(parts, job_id)


@router.post("/jobs/{job_id}/resubmit")
async def resubmit(request: Request, who: Anyone, parts: House, job_id: JobId) -> Response:
    """The same once more, as a new job; a form that is sent twice makes one job."""
    form = await _own_form(request, who)
    key = form.get("key", "")
    if not key.isalnum() or len(key) > 64:  # noqa: PLR2004 (ours has 32)
        raise Conflict("This form is not complete.", remedy="Load the page again, then use its button.")
    made, _ = await run_in_threadpool(
        parts.jobs.resubmit, who.person, job_id, ResubmitRequest(idempotency_key=f"page-{key}")
    )
    return _to_job(parts, made.id)


@router.get("/jobs/{job_id}/files/{path:path}")
def file(who: Anyone, parts: House, job_id: JobId, path: FilePath) -> Response:
    """To a fresh link of one file of the bundle."""
    ticket = parts.artifacts.download(who.person, job_id, path)
    if len(ticket.parts) != 1:
        raise Conflict(f"{path} comes in several parts.", remedy="Fetch it with axonlab.job(…).result().")
    url = ticket.parts[0].url
    return RedirectResponse(url if "://" in url else parts.settings.service_prefix + url, status_code=303)


@router.get("/jobs/{job_id}/pictures/{path:path}")
def picture(who: Anyone, parts: House, job_id: JobId, path: FilePath) -> Response:
    """One picture of the bundle."""
    key, size_bytes = _listed(who, parts, job_id, path)
    pieces = pictures.png_pieces(parts.storage, key, size_bytes)
    headers = pictures.HEADERS | {"Content-Length": str(size_bytes)}
    return StreamingResponse(pieces, media_type="image/png", headers=headers)


@router.get("/jobs/{job_id}/report")
def report(who: Anyone, parts: House, job_id: JobId) -> Response:
    """The bundle's report on how good the result is."""
    key, size_bytes = _listed(who, parts, job_id, reports.PATH)
    pieces = reports.report_pieces(parts.storage, key, size_bytes)
    headers = reports.HEADERS | {"Content-Length": str(size_bytes)}
    return StreamingResponse(pieces, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/static/{name}")
def static(name: str, v: str = "") -> Response:
    """A file that is the same for everybody."""
    if name not in _STATIC:
        raise NotFound("There is no such file.", remedy="Check the address.")
    keep = _A_YEAR if v == static_version(name) else "no-cache"
    return FileResponse(STATIC / name, media_type=_STATIC[name], headers={"Cache-Control": keep})


async def _own_form(request: Request, who: Visitor) -> dict[str, str]:
    require_same_site(request)
    form = await read_form(request)
    require_form_token(who.form_token, form)
    return form


def _listed(who: Visitor, parts: House, job_id: str, path: str) -> tuple[str, int]:
    """Key and size of a file of the bundle."""
    listed = {file.path: file for file in parts.artifacts.listing(who.person, job_id).files}
    if path not in listed:
        raise NotFound(f"Job {job_id} has no file of that name.", remedy="See its page for those that it has.")
    with parts.store.read() as rows:
        attempt = visible_job(rows, who.person, job_id).attempt
    return result_key(job_id, attempt, path), listed[path].size_bytes


def _to_job(parts: House, job_id: str) -> Response:
    return RedirectResponse(f"{parts.settings.service_prefix}jobs/{job_id}", status_code=303)
