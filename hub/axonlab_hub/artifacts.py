"""Tickets: what may be uploaded or downloaded, by whom."""

from __future__ import annotations

from datetime import timedelta

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.base import shortened
from axonlab_core.contract.errors import Conflict, NotFound, TooLarge
from axonlab_core.contract.jobs import ArtifactsAnswer, ModelSource, job_spec
from axonlab_core.contract.keys import blob_key, checkpoint_key, result_key, user_namespace
from axonlab_core.contract.runs import InputsAnswer, OutputsAnswer, OutputsRequest
from axonlab_core.contract.tickets import Blob, FileBlob, FileTicket, Ticket, UploadAnswer, UploadRequest
from axonlab_hub.access import RunCall, current_run, visible_job
from axonlab_hub.admission import read_manifest, require_member
from axonlab_hub.auth import Person
from axonlab_hub.checkpoints import newest_checkpoint
from axonlab_hub.holdings import Holdings
from axonlab_hub.job_models import find_model
from axonlab_hub.settings import Settings
from axonlab_hub.store import Rows, Store
from axonlab_hub.tables import ArtifactRow, JobRow

_MIB = 2**20


class Artifacts:
    """Blobs of people and bundles of runs. Every method blocks."""

    def __init__(self, store: Store, storage: Storage, settings: Settings) -> None:
        self._store = store
        self._storage = storage
        self._max_bytes = settings.max_blob_bytes
        self._lifetime = timedelta(seconds=settings.ticket_lifetime_s)

    # -- people ------------------------------------------------------------------------------------------

    def uploads(self, person: Person, request: UploadRequest) -> UploadAnswer:
        """A ticket for each blob that neither this person nor the course has; nobody else's blobs are looked at."""
        offered: dict[str, int] = {}
        if request.course is not None:
            require_member(person, request.course)
            with self._store.read() as rows:
                offered = rows.offered(request.course)
        namespace = user_namespace(person.name)
        return UploadAnswer(
            tickets=tuple(
                None
                if offered.get(blob.sha256) == blob.size_bytes
                else self._upload(blob_key(namespace, blob.sha256), blob)
                for blob in request.blobs
            )
        )

    def listing(self, person: Person, job_id: str) -> ArtifactsAnswer:
        """The files with which the job's last run ended."""
        with self._store.read() as rows:
            job = visible_job(rows, person, job_id)
            found = rows.artifacts(job_id, job.attempt, listed=True)
        return ArtifactsAnswer(files=tuple(_as_file(row) for row in found))

    def download(self, person: Person, job_id: str, path: str) -> Ticket:
        """Permission to read one file of the bundle."""
        with self._store.read() as rows:
            job = visible_job(rows, person, job_id)
            file = rows.artifact(job_id, job.attempt, path)
        if file is None or not file.listed:
            raise NotFound(f"Job {job_id} has no file {shortened(path)}.", remedy="See its artifacts for what it has.")
        return self._storage.download_ticket(result_key(job_id, job.attempt, path), lifetime=self._lifetime)

    # -- runs --------------------------------------------------------------------------------------------

    def inputs(self, call: RunCall) -> InputsAnswer:
        """Tickets for everything that the run needs."""
        with self._store.read() as rows:
            job, _ = current_run(rows, call, lock=False)
            spec = job_spec.validate_json(job.spec)
            model = None if spec.input_model is None else self._model_file(rows, job.owner, *spec.input_model)
            checkpoint = newest_checkpoint(rows, self._storage, call.job_id, before=call.attempt)
        files = list(self._dataset_files(job, spec.dataset))
        if model is not None:
            files.append(model)
        return InputsAnswer(
            files=tuple(self._file_ticket(key, file) for key, file in files),
            checkpoint=None if checkpoint is None else self._file_ticket(*checkpoint),
        )

    def outputs(self, call: RunCall, request: OutputsRequest) -> OutputsAnswer:
        """A ticket for each file that is not there yet.

        Raises
        ------
        Conflict
            If there is another file under the same path already.
        """
        with self._store.read() as rows:
            current_run(rows, call, lock=False)
            known = {row.path: row for row in rows.artifacts(call.job_id, call.attempt, listed=False)}
        if request.checkpoint:
            keys = [checkpoint_key(call.job_id, call.attempt, file.sha256) for file in request.files]
            return OutputsAnswer(tickets=tuple(map(self._upload, keys, request.files)))
        keys = [result_key(call.job_id, call.attempt, file.path) for file in request.files]
        for key, file in zip(keys, request.files, strict=True):
            row = known.get(file.path)
            if row is not None and row.sha256 != file.sha256 and self._storage.size_bytes(key) is not None:
                raise Conflict(f"{file.path} has been uploaded with another content.", remedy="Use another name.")
        tickets = tuple(map(self._upload, keys, request.files))
        with self._store.write() as rows:
            current_run(rows, call)
            for file in request.files:
                rows.put(_announced(call, file))
        return OutputsAnswer(tickets=tickets)

    def _model_file(self, rows: Rows, owner: str, source: ModelSource, path: str) -> tuple[str, FileBlob]:
        key, blob = find_model(rows, self._storage, owner, source)
        return key, FileBlob(sha256=blob.sha256, size_bytes=blob.size_bytes, path=path)

    def _dataset_files(self, job: JobRow, sha256: str) -> list[tuple[str, FileBlob]]:
        holdings = Holdings(self._storage, job.owner, job.course)
        manifest = read_manifest(holdings, sha256)
        wanted = {"dataset.json": sha256} | {f"blobs/{blob.sha256}": blob.sha256 for blob in manifest.blobs()}
        files: list[tuple[str, FileBlob]] = []
        for path, blob in wanted.items():
            found = holdings.find(blob)
            if found is None:
                raise NotFound(f"{path} of job {job.id} is no longer there.", remedy="Upload it and submit again.")
            files.append((found[0], FileBlob(sha256=blob, size_bytes=found[1], path=path)))
        return files

    def _file_ticket(self, key: str, file: FileBlob) -> FileTicket:
        return FileTicket(file=file, ticket=self._storage.download_ticket(key, lifetime=self._lifetime))

    def _upload(self, key: str, blob: Blob) -> Ticket | None:
        if blob.size_bytes > self._max_bytes:
            raise TooLarge(
                f"A file of {blob.size_bytes / _MIB:.0f} MiB is over the limit of {self._max_bytes / _MIB:.0f} MiB.",
                remedy="Cut it into smaller images.",
            )
        if self._storage.size_bytes(key) == blob.size_bytes:
            return None
        return self._storage.upload_ticket(key, blob, lifetime=self._lifetime)


def _announced(call: RunCall, file: FileBlob) -> ArtifactRow:
    return ArtifactRow(
        job_id=call.job_id,
        attempt=call.attempt,
        path=file.path,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        listed=False,
    )


def _as_file(row: ArtifactRow) -> FileBlob:
    return FileBlob(sha256=row.sha256, size_bytes=row.size_bytes, path=row.path)
