"""What a job must bring to be admitted: everything it names exists, and belongs to whoever asks."""

from __future__ import annotations

from pydantic import ValidationError

from axonlab_core.backends.model_header import START_BYTES, check_card, check_header
from axonlab_core.backends.storage import Storage
from axonlab_core.contract.dataset import DatasetManifest, Split
from axonlab_core.contract.errors import BadInput, Conflict, NotAllowed, NotFound
from axonlab_core.contract.jobs import InferSpec, JobModel, TrainSpec, UploadedModel
from axonlab_core.contract.keys import blob_key, result_key, user_namespace
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.parameters import check_declared
from axonlab_core.contract.plain_words import in_plain_words
from axonlab_core.contract.states import JobState
from axonlab_core.contract.tickets import Blob
from axonlab_hub.auth import Person
from axonlab_hub.store import Rows, Store

MODEL_PATH = "model/model.safetensors"
_MAX_MANIFEST_BYTES = 16 * 2**20


def admit(spec: TrainSpec | InferSpec, person: Person, store: Store, storage: Storage) -> None:
    """Let the job in.

    Raises
    ------
    NotAllowed
        If it is for a course of somebody else.
    BadInput, NotFound, Conflict
        If something it needs is not there; the message names it.
    """
    if spec.course is not None and not person.belongs_to(spec.course):
        raise NotAllowed(
            f"{person.name} is not in the course {spec.course}.",
            remedy="Check the course's name, or log in again if you have just been added to it.",
        )
    check_declared(spec.kind, spec.parameters)
    manifest = read_manifest(storage, person.name, spec.dataset)
    _check_blobs(storage, person.name, manifest)
    if isinstance(spec, TrainSpec):
        _check_labels(manifest)
    else:
        _check_model(spec, person, store, storage)


def read_manifest(storage: Storage, owner: str, sha256: str) -> DatasetManifest:
    """The data set's manifest.

    Raises
    ------
    BadInput
        If it was not uploaded, or is no manifest.
    """
    key = blob_key(user_namespace(owner), sha256)
    if storage.size_bytes(key) is None:
        raise BadInput(
            f"The data set {sha256[:12]}… has not been uploaded.", remedy="Upload its manifest, then submit again."
        )
    try:
        return DatasetManifest.model_validate_json(storage.read(key, max_bytes=_MAX_MANIFEST_BYTES))
    except ValidationError as error:
        raise BadInput(
            f"{sha256[:12]}… is not a data set's manifest. {in_plain_words(error.errors())}",
            remedy="Build the data set with axonlab.dataset(...).",
        ) from error


def _check_blobs(storage: Storage, owner: str, manifest: DatasetManifest) -> None:
    for image in manifest.images:
        for what, blob in (("image", image.image), ("label file", image.labels)):
            if blob is not None:
                _check_blob(storage, owner, blob, f"The {what} of {image.name}")


def _check_blob(storage: Storage, owner: str, blob: Blob, what: str) -> None:
    size = storage.size_bytes(blob_key(user_namespace(owner), blob.sha256))
    if size is None:
        raise BadInput(f"{what} has not been uploaded.", remedy="Upload it, then submit again.")
    if size != blob.size_bytes:
        raise BadInput(
            f"{what} has {size} bytes, and the data set says {blob.size_bytes}.", remedy="Build the data set again."
        )


def _check_labels(manifest: DatasetManifest) -> None:
    if not any(image.labels and image.split in {Split.train, Split.auto} for image in manifest.images):
        raise BadInput(
            f"None of the {len(manifest.images)} images that may be trained on has labels.",
            remedy="Annotate at least one image whose split is train or auto.",
        )


def _check_model(spec: InferSpec, person: Person, store: Store, storage: Storage) -> None:
    with store.read() as rows:
        key, blob = find_model(rows, storage, person.name, spec)
    if isinstance(spec.model, JobModel):  # its runner has checked it
        return
    name = f"The model {blob.sha256[:12]}…"
    check_card(name, check_header(name, storage.read_start(key, size_bytes=START_BYTES), blob.size_bytes))


def find_model(rows: Rows, storage: Storage, owner: str, spec: InferSpec) -> tuple[str, Blob]:
    """Storage key of the model that a job uses, and its blob.

    Raises
    ------
    BadInput, NotFound, Conflict
        If this owner has no such model.
    """
    if isinstance(spec.model, UploadedModel):
        return _uploaded_model(storage, owner, spec.model)
    return _trained_model(rows, owner, spec.model)


def _uploaded_model(storage: Storage, owner: str, source: UploadedModel) -> tuple[str, Blob]:
    key = blob_key(user_namespace(owner), source.sha256)
    size = storage.size_bytes(key)
    if size is None:
        raise BadInput(
            f"The model {source.sha256[:12]}… has not been uploaded.", remedy="Upload it, then submit again."
        )
    return key, Blob(sha256=source.sha256, size_bytes=size)


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
