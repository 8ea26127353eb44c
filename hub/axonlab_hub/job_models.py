"""The model that a job works with: of one of the owner's jobs, uploaded, or published for a course."""

from __future__ import annotations

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import BadInput, Conflict, NotFound
from axonlab_core.contract.jobs import JobModel, ModelSource, PublishedModel, UploadedModel
from axonlab_core.contract.keys import blob_key, course_namespace, result_key, user_namespace
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState
from axonlab_core.contract.tickets import Blob
from axonlab_hub.store import Rows
from axonlab_hub.tables import PublishedModelRow

MODEL_PATH = "model/model.safetensors"


def find_model(rows: Rows, storage: Storage, owner: str, source: ModelSource) -> tuple[str, Blob]:
    """Storage key of the model, and its blob.

    Raises
    ------
    BadInput, NotFound, Conflict
        If this owner has no such model.
    """
    if isinstance(source, UploadedModel):
        return _blob_in(storage, user_namespace(owner), source.sha256)
    if isinstance(source, PublishedModel):
        return _blob_in(storage, course_namespace(source.course), source.sha256)
    return _trained_model(rows, owner, source)


def require_offered(rows: Rows, source: PublishedModel) -> None:
    """Let models pass that the course offers.

    Raises
    ------
    NotFound
        If it is none of them.
    """
    if rows.published_item(PublishedModelRow, source.course, source.sha256) is None:
        raise NotFound(
            f"The course {source.course} offers no model {source.sha256[:12]}….",
            remedy="See axonlab.models() for those it offers.",
        )


def _blob_in(storage: Storage, namespace: str, sha256: str) -> tuple[str, Blob]:
    key = blob_key(namespace, sha256)
    size = storage.size_bytes(key)
    if size is None:
        raise BadInput(f"The model {sha256[:12]}… has not been uploaded.", remedy="Upload it, then submit again.")
    return key, Blob(sha256=sha256, size_bytes=size)


def _trained_model(rows: Rows, owner: str, source: JobModel) -> tuple[str, Blob]:
    job = rows.job(source.job_id)
    if job is None or job.owner != owner:
        raise NotFound(f"There is no job {source.job_id} of yours.", remedy="Name a training job of your own.")
    if job.kind != Kind.train:
        raise BadInput(f"Job {job.id} is a {job.kind} job and has no model.", remedy="Name a training job.")
    if job.state != JobState.succeeded:
        raise Conflict(f"Job {job.id} is {job.state} and has no model.", remedy="Wait until it has succeeded.")
    file = rows.artifact(job.id, job.attempt, MODEL_PATH)
    if file is None or not file.listed:
        raise NotFound(f"Job {job.id} has no {MODEL_PATH}.", remedy="Train again.")
    key = result_key(job.id, job.attempt, MODEL_PATH)
    return key, Blob(sha256=file.sha256, size_bytes=file.size_bytes)
