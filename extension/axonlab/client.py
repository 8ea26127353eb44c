"""The connection to the service: data sets go up, jobs are asked for, results come down."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from axonlab.cache import BlobCache
from axonlab.datasets import Dataset
from axonlab.job_handle import Job
from axonlab.listings import JobTable, ModelEntry, ModelTable
from axonlab.manifest_table import check_pixel_size
from axonlab.model_source import Model, data_for_model, model_from_file
from axonlab.progress import bytes_bar
from axonlab.result import MANIFEST, REPORT, Result, write_folder
from axonlab.settings import Settings
from axonlab.sources import Images, Labels
from axonlab.specs import infer_spec, train_spec
from axonlab_core import __version__
from axonlab_core.backends.service import ServiceSession
from axonlab_core.backends.transfer import describe, download, upload_all
from axonlab_core.contract import jobs as contract
from axonlab_core.contract.base import Identifier, Value
from axonlab_core.contract.errors import BadInput, NotFound, PlatformError
from axonlab_core.contract.jobs import InferSpec, JobModel, PublishedModel, SubmitRequest, TrainSpec
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.listing import JobsAnswer, JobsQuery
from axonlab_core.contract.models import ModelsAnswer, PublishedModelEntry, TrainedModelEntry
from axonlab_core.contract.plain_words import in_plain_words
from axonlab_core.contract.states import JobState
from axonlab_core.contract.tickets import Blob, FileBlob, Ticket, UploadAnswer, UploadRequest

_MOST_ON_A_PAGE = 200
_IDENTIFIER = TypeAdapter(Identifier)
ModelGiven = Job | Result | ModelEntry | PublishedModel | str | Path


class Health(Value):
    """The service is there."""

    status: str
    version: str = ""


class Client:
    """A connection. Knows a token: cannot be pickled, and shows its address alone."""

    def __init__(self, session: ServiceSession, cache: BlobCache, *, pages_url: str | None = None) -> None:
        self.session = session
        self.pages_url = (pages_url or session.url).rstrip("/") + "/"
        """Where a browser finds the service's pages."""
        self._cache = cache

    def train(
        self,
        data: Dataset,
        *,
        minutes: float | None = None,
        steps: int | None = None,
        preset: str = "tiny",
        seed: int = 0,
        base: ModelGiven | None = None,
        name: str = "",
        course: str | None = None,
        **parameters: bool | float | str,
    ) -> Job:
        """The job that trains a model on the labelled pixels of `data`; see `axonlab.train`."""
        begin = None if base is None else self._model_of(base)
        spec = train_spec(
            data,
            minutes=minutes,
            steps=steps,
            preset=preset,
            seed=seed,
            name=name,
            course=course,
            parameters=parameters,
            base=begin,
        )
        if begin is not None and begin.file is not None:
            self._send([begin.file])
        self._send_dataset(data)
        return self._submit(spec)

    def segment(
        self,
        images: Images | Dataset,
        model: ModelGiven,
        *,
        labels: Labels | None = None,
        manifest: str | Path | None = None,
        pixel_size_um: float | None = None,
        name: str = "",
        course: str | None = None,
        **parameters: bool | float | str,
    ) -> Job:
        """The job that segments `images` with `model`; see `axonlab.segment`."""
        used = self._model_of(model)
        if isinstance(images, Dataset) and pixel_size_um is not None:
            # The data set stays what it is, under its hash; this job alone takes its images otherwise.
            parameters = {**parameters, "pixel_size_um": check_pixel_size(pixel_size_um, "pixel_size_um")}
            pixel_size_um = None
        data = data_for_model(images, used, labels=labels, manifest=manifest, pixel_size_um=pixel_size_um)
        spec = infer_spec(data, used, name=name, course=course, parameters=parameters)
        if used.file is not None:
            self._send([used.file])
        self._send_dataset(data)
        return self._submit(spec)

    def job(self, job_id: str) -> Job:
        """The job with that id.

        Raises
        ------
        NotFound
            If there is none, or it is somebody else's.
        """
        try:
            _IDENTIFIER.validate_python(job_id)
        except ValidationError:
            raise BadInput(f"{job_id!r} is no job's id.", remedy="A job's card and axonlab.jobs() say it.") from None
        return Job(self, self.session.call("GET", f"jobs/{job_id}", contract.Job))

    def jobs(
        self,
        *,
        state: str | Sequence[str] = (),
        kind: str | Sequence[str] = (),
        course: str | None = None,
        owner: str | None = None,
        limit: int = 50,
    ) -> JobTable:
        """Jobs, newest first; see `axonlab.jobs`."""
        if limit < 1:
            raise BadInput(f"A list of {limit} jobs cannot be.", remedy="Give limit=1 or more.")
        states = _several(state, JobState, "state of a job")
        kinds = _several(kind, Kind, "kind of job")
        asked = {"state": states, "kind": kinds, "course": course, "owner": owner}
        found: list[contract.Job] = []
        left_out, before = 0, None
        while True:
            page = min(_MOST_ON_A_PAGE, limit - len(found))
            try:
                query = JobsQuery.model_validate({**asked, "before": before, "limit": page})
            except ValidationError as error:
                raise BadInput(in_plain_words(error.errors()), remedy="Correct it and try again.") from error
            said = query.model_dump(mode="json", exclude_none=True)
            answer = self.session.call("GET", "jobs", JobsAnswer, query=said)
            found += answer.jobs
            left_out, before = left_out + answer.left_out, answer.next_before
            if before is None or len(found) >= limit:
                return JobTable(tuple(Job(self, job) for job in found), more=before is not None, left_out=left_out)

    def models(self, course: str | None = None) -> ModelTable:
        """Models that one may segment with; see `axonlab.models`."""
        said = {} if course is None else {"course": course}
        return ModelTable(self.session.call("GET", "models", ModelsAnswer, query=said))

    def check(self, *, patience_s: float = 1.0) -> str:
        """Version of the service, which answers.

        Raises
        ------
        Unavailable
            If it does not.
        """
        return self.session.call("GET", "health", Health, patience_s=patience_s).version

    def fetch_result(self, job: contract.Job) -> Result:
        """The result bundle of a finished job; what is here already is not fetched again."""
        folder = self._cache.root / "results" / job.id
        if (folder / MANIFEST).is_file() and not (kept := Result(folder)).verify():
            return kept
        if folder.exists():
            shutil.rmtree(folder)
        files = self.session.call("GET", f"jobs/{job.id}/artifacts", contract.ArtifactsAnswer).files
        self._fetch(job.id, files)

        def fill(beside: Path) -> Path:
            for file in files:
                target = beside / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._cache.path(file.sha256), target)
            return beside

        result = Result(write_folder(folder, fill))
        if damaged := result.verify():
            shutil.rmtree(folder)
            raise PlatformError(
                f"{damaged[0]} of job {job.id} is not what the bundle's manifest says.",
                remedy="Run the job again; if it stays so, tell the operator.",
            )
        for file in files:  # the folder has it all now; the blobs were there to go on after a broken connection
            self._cache.drop(file.sha256)
        return result

    def fetch_report(self, job: contract.Job) -> Path:
        """The executed notebook of a job that is over.

        Raises
        ------
        NotFound
            If the job left none.
        """
        files = self.session.call("GET", f"jobs/{job.id}/artifacts", contract.ArtifactsAnswer).files
        found = next((file for file in files if file.path == REPORT), None)
        if found is None:
            raise NotFound(f"Job {job.id} ({job.state}) has no lab report.", remedy="Wait until it is over.")
        target = self._cache.root / "reports" / f"{job.id}.ipynb"
        if not (target.is_file() and describe(target).sha256 == found.sha256):
            self._fetch(job.id, [found])
            target.parent.mkdir(parents=True, exist_ok=True)
            self._cache.path(found.sha256).replace(target)
        return target

    def _fetch(self, job_id: str, files: Iterable[FileBlob]) -> None:
        missing = {file.sha256: file for file in files if not self._cache.has(file)}
        if not missing:
            return
        with bytes_bar("Fetching the result", sum(file.size_bytes for file in missing.values())) as bar:
            for file in missing.values():
                ticket = self.session.call("GET", f"jobs/{job_id}/artifacts/{quote(file.path)}/ticket", Ticket)
                download(self.session, ticket, file, self._cache.path(file.sha256), progress=bar.update)

    def _send_dataset(self, data: Dataset) -> None:
        # The manifest comes last: where it is there, all that it lists is there.
        self._send(list(data.blob_files().values()))

    def _send(self, paths: list[Path]) -> None:
        """Upload what this owner does not have yet."""
        blobs = [(describe(path), path) for path in paths]

        def ask(some: Sequence[Blob]) -> Sequence[Ticket | None]:
            return self.session.call("POST", "uploads", UploadAnswer, body=UploadRequest(blobs=tuple(some))).tickets

        with bytes_bar("Uploading", sum(blob.size_bytes for blob, _ in blobs)) as bar:
            upload_all(self.session, blobs, ask, progress=bar.update)

    def _submit(self, spec: TrainSpec | InferSpec) -> Job:
        # The key makes a repeated call, after an answer that was lost, the same job.
        request = SubmitRequest(spec=spec, idempotency_key=uuid.uuid4().hex)
        return Job(self, self.session.call("POST", "jobs", contract.Job, body=request))

    def _model_of(self, given: ModelGiven) -> Model:
        if isinstance(given, str) and not _is_file_name(given):
            given = self.job(given)
        if isinstance(given, PublishedModel):
            given = self._published(given)
        if isinstance(given, TrainedModelEntry | PublishedModelEntry):
            if given.summary is not None:
                return Model.from_summary(given.source, given.summary)
            given = self.job(given.job_id)
        if isinstance(given, Job):
            return Model.from_card(JobModel(job_id=given.id), given.result().card)
        return model_from_file(given.model if isinstance(given, Result) else given)

    def _published(self, named: PublishedModel) -> PublishedModelEntry:
        for entry in self.models(named.course).answer.published:
            if entry.source == named:
                return entry
        raise NotFound(
            f"The course {named.course} does not offer the model {named.sha256[:12]}….",
            remedy=f"See axonlab.models({named.course!r}) for those that it offers.",
        )

    def __repr__(self) -> str:
        return f"Client({self.session.url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A connection holds a token and is not pickled; connect again with axonlab.connect().")


def connect(url: str | None = None, token: str | None = None) -> Client:
    """A connection to the service; inside the course's hub nothing needs to be given.

    `axonlab.train`, `axonlab.segment` and `axonlab.job` use the latest connection, or make one.

    Parameters
    ----------
    url : str, optional
        Address of the service, `https://<hub>/services/axonlab`; else `AXONLAB_SERVICE_URL`.
    token : str, optional
        A token of the hub; else `AXONLAB_TOKEN`, the file `AXONLAB_TOKEN_FILE`, or the kernel's own.

    Raises
    ------
    UserError
        If the address or the token is missing; says where they come from.
    """
    settings = Settings.from_environment()
    address, found = settings.address_and_token(url, token)
    session = ServiceSession(address, found, user_agent=f"axonlab/{__version__}")
    client = Client(session, BlobCache(settings.cache_dir.absolute()), pages_url=settings.pages_of(address))
    _latest["client"] = client
    return client


_latest: dict[str, Client] = {}


def _default() -> Client:
    return _latest.get("client") or connect()


def train(
    data: Dataset,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    preset: str = "tiny",
    seed: int = 0,
    base: ModelGiven | None = None,
    name: str = "",
    course: str | None = None,
    **parameters: bool | float | str,
) -> Job:
    """The job that trains a model on the labelled pixels of `data`, for `minutes` (2 if not said) or for `steps`.

    With `base`, it begins with that model instead of random weights: one of the course's published models, say
    (`axonlab.models()`). It still learns from the whole of `data`, and a model that began with another is refused.

    Raises
    ------
    UserError
        If something about the request cannot be, in words.
    """
    return _default().train(
        data, minutes=minutes, steps=steps, preset=preset, seed=seed, base=base, name=name, course=course, **parameters
    )


def segment(
    images: Images | Dataset,
    model: ModelGiven,
    *,
    labels: Labels | None = None,
    manifest: str | Path | None = None,
    pixel_size_um: float | None = None,
    name: str = "",
    course: str | None = None,
    **parameters: bool | float | str,
) -> Job:
    """The job that segments `images` with `model`, and measures the result where there are labels.

    Parameters
    ----------
    images : Dataset, or what `axonlab.dataset` takes
        Arrays are `(H, W)` or `(H, W, 3)`, uint8 or uint16.
    model : Job, Result, entry of `axonlab.models()`, path of a .safetensors file, or a job's id
        A training that is not over yet is waited for.
    labels, manifest, pixel_size_um
        As for `axonlab.dataset`. The pixel size may be given for a data set as well: it counts for this job alone.
    **parameters
        `wall_clock_minutes=` limits the whole run; not given, it is an hour, or ten minutes and 20 seconds for each
        megapixel (at the model's pixel size) if that is more.

    Raises
    ------
    UserError
        If something about the request cannot be, in words.
    """
    return _default().segment(
        images,
        model,
        labels=labels,
        manifest=manifest,
        pixel_size_um=pixel_size_um,
        name=name,
        course=course,
        **parameters,
    )


def job(job_id: str) -> Job:
    """The job with that id, from this notebook or any other of yours."""
    return _default().job(job_id)


def jobs(
    *,
    state: str | Sequence[str] = (),
    kind: str | Sequence[str] = (),
    course: str | None = None,
    owner: str | None = None,
    limit: int = 50,
) -> JobTable:
    """Your jobs as a table, newest first; as staff of `course`, everybody's of it, or those of `owner`.

    Parameters
    ----------
    state, kind : str or several
        Only such jobs, e.g. `state="running"` or `kind=("train", "infer")`.
    limit : int
        At most so many.
    """
    return _default().jobs(state=state, kind=kind, course=course, owner=owner, limit=limit)


def models(course: str | None = None) -> ModelTable:
    """The models that your jobs trained, and those that your courses (or `course`) offer, as a table.

    Each entry is what `axonlab.segment(..., model=entry)` takes.
    """
    return _default().models(course)


def _several(given: str | Sequence[str], known: type[StrEnum], what: str) -> tuple[str, ...]:
    values = (given,) if isinstance(given, str) else tuple(given)
    for value in values:
        if value not in {*known}:
            raise BadInput(f"{value!r} is no {what}.", remedy=f"There are {', '.join(known)}.")
    return values


def _is_file_name(text: str) -> bool:
    return Path(text).suffix == ".safetensors" or re.search(r"[/\\]", text) is not None or Path(text).exists()
