"""What works and what does not, check by check: from the address to a job that somebody could carry out."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from axonlab.cache import BlobCache
from axonlab.client import Client, Health
from axonlab.settings import Settings
from axonlab_core import __version__
from axonlab_core.backends.service import ServiceSession
from axonlab_core.backends.transfer import download, upload
from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import AxonlabError, PlatformError, UserError
from axonlab_core.contract.jobs import ArtifactsAnswer
from axonlab_core.contract.options import OptionsAnswer
from axonlab_core.contract.tickets import Blob, Ticket, UploadAnswer, UploadRequest

Status = Literal["ok", "note", "failed", "skipped"]
_PATIENCE_S = 2.0
_TIMEOUT_S = 10.0
_PROBE_BYTES = 64
_SET = (
    "Set AXONLAB_SERVICE_URL to https://<hub>/services/axonlab, and AXONLAB_TOKEN, or AXONLAB_TOKEN_FILE, to a token "
    "from the hub's page /hub/token. Inside the course's hub nothing needs to be set."
)
_START_A_RUNNER = "Start one on a machine that can: axonlab runner --service {url} --token-file FILE."


class _HubAnswer(Value):
    """What JupyterHub says of itself to anybody."""

    version: str


class Check(Value):
    """What one look found."""

    name: str
    status: Status
    said: str
    remedy: str = ""
    yours: bool = True
    """Whether the person can change it; of a failure only."""


def exit_code(checks: Iterable[Check]) -> int:
    """0 if nothing failed, 2 if something did that one can change, else 1."""
    failed = [check for check in checks if check.status == "failed"]
    return 0 if not failed else 2 if any(check.yours for check in failed) else 1


def failed(name: str, error: AxonlabError) -> Check:
    """The check that ended with this error."""
    return Check(
        name=name, status="failed", said=error.message, remedy=error.remedy, yours=isinstance(error, UserError)
    )


def check_connection() -> Iterator[Check]:
    """What lies between this machine and a job's result, from near to far; what hangs on a failure is skipped."""
    try:
        settings = Settings.from_environment()
    except UserError as error:
        yield failed("settings", error)
        return
    yield _attempt("cache", lambda: _cache(settings))
    try:
        url, token = settings.address_and_token(None, None)
    except UserError as error:
        yield failed("address and token", UserError(error.message, remedy=_SET))
        yield _skipped("address and token")
        return
    yield Check(name="address and token", status="ok", said=f"{url}, with a token")
    yield _attempt("hub", lambda: _hub(url))
    try:
        session = ServiceSession(url, token, patience_s=_PATIENCE_S, user_agent=f"axonlab/{__version__} doctor")
    except UserError as error:
        yield failed("service", error)
        return
    with session:
        yield (found := _attempt("service", lambda: _service(session)))
        if found.status == "failed":
            yield _skipped("service")
            return
        try:
            options = session.call("GET", "options", OptionsAnswer)
        except AxonlabError as error:
            yield failed("token and scopes", error)
            yield _skipped("token and scopes")
            return
        yield Check(
            name="token and scopes", status="ok", said="The service knows the token, and it may use and submit."
        )
        yield _courses(options)
        yield _attempt("storage", lambda: _storage(Client(session, BlobCache(settings.cache_dir.absolute()))))
        yield from _runners(options, url)


def _attempt(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except AxonlabError as error:
        return failed(name, error)


def _skipped(because: str) -> Check:
    return Check(name="the rest", status="skipped", said=f"not looked at, since it hangs on: {because}")


def _cache(settings: Settings) -> Check:
    cache = BlobCache(settings.cache_dir.absolute())
    blob = cache.add(secrets.token_bytes(_PROBE_BYTES))
    cache.drop(blob.sha256)
    return Check(name="cache", status="ok", said=f"{cache.root} can be written to.")


def _hub(url: str) -> Check:
    """Whether JupyterHub answers at the address that the service's address implies."""
    parts = urlsplit(url)
    base = parts.path.partition("/services/")[0].rstrip("/")
    address = f"{parts.scheme}://{parts.netloc}{base}/hub/api"
    remedy = "The service may be reached in another way; logging in and starting servers need the hub."
    try:
        answer = httpx.get(address, timeout=_TIMEOUT_S, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = f"{address} does not answer ({type(error).__name__})."
        return Check(name="hub", status="note", said=said, remedy=remedy)
    try:
        version = _HubAnswer.read_answer(answer.content).version
    except ValidationError:
        said = f"{address} does not answer as JupyterHub would (status {answer.status_code})."
        return Check(name="hub", status="note", said=said, remedy=remedy)
    return Check(name="hub", status="ok", said=f"JupyterHub {version}")


def _service(session: ServiceSession) -> Check:
    health = session.call("GET", "health", Health)
    if health.version != __version__:
        return Check(
            name="service",
            status="note",
            said=f"It is version {health.version}, and axonlab here is {__version__}.",
            remedy=f"If something does not fit, install axonlab {health.version} here.",
        )
    return Check(name="service", status="ok", said=f"version {health.version}, status {health.status}")


def _courses(options: OptionsAnswer) -> Check:
    if not options.courses:
        return Check(
            name="courses",
            status="note",
            said="You are in no course: jobs go without one, and no course's models are offered to you.",
            remedy="If you should be in one, ask its staff to add you to the hub's group nbgrader-<course>.",
        )
    return Check(name="courses", status="ok", said=", ".join(f"{one.course} ({one.role})" for one in options.courses))


def _storage(client: Client) -> Check:
    """A few bytes up, seen by the service; and a file of a job back, if there is one."""
    session = client.session
    probe = secrets.token_bytes(_PROBE_BYTES)
    asked = UploadRequest(blobs=(Blob(sha256=sha256(probe).hexdigest(), size_bytes=len(probe)),))
    (ticket,) = session.call("POST", "uploads", UploadAnswer, body=asked).tickets
    if ticket is None:
        raise PlatformError("The service says that it has bytes which nobody ever sent.", remedy="Tell the operator.")
    upload(session, ticket, probe)
    if session.call("POST", "uploads", UploadAnswer, body=asked).tickets != (None,):
        raise PlatformError("What was uploaded is not there.", remedy="Tell the operator: the storage loses files.")
    done = client.jobs(state="succeeded", limit=1)
    sent = f"{_PROBE_BYTES} bytes went up and are there"
    if not done:
        return Check(name="storage", status="ok", said=f"{sent}; there is no result yet to fetch.")
    files = session.call("GET", f"jobs/{done[0].id}/artifacts", ArtifactsAnswer).files
    file = min(files, key=lambda one: one.size_bytes)
    ticket = session.call("GET", f"jobs/{done[0].id}/artifacts/{quote(file.path)}/ticket", Ticket)
    with tempfile.TemporaryDirectory() as folder:
        download(session, ticket, file, Path(folder) / "fetched")
    return Check(name="storage", status="ok", said=f"{sent}; {file.path} of job {done[0].id} came back whole.")


def _runners(options: OptionsAnswer, url: str) -> Iterator[Check]:
    for kind in options.kinds:
        able = [runner for runner in options.runners if runner.kind == kind.kind]
        waiting = f"; {kind.queued} waiting, {kind.running} running"
        if able:
            said = ", ".join(f"{runner.count} on {runner.device}" for runner in able) + waiting
            yield Check(name=f"runners for {kind.kind}", status="ok", said=said)
        else:
            yield Check(
                name=f"runners for {kind.kind}",
                status="failed",
                said=f"None has asked for such jobs in the last minute{waiting}.",
                remedy=f"Jobs wait until there is one. {_START_A_RUNNER.format(url=url)}",
                yours=False,
            )
