"""What a job must bring to be admitted: everything it names exists, and belongs to whoever asks or to their course."""

from __future__ import annotations

from pydantic import ValidationError

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.base_model import check_base
from axonlab_core.contract.dataset import DatasetManifest, Split
from axonlab_core.contract.errors import BadInput, NotAllowed
from axonlab_core.contract.jobs import InferSpec, JobModel, ModelSource, PublishedModel, TrainSpec
from axonlab_core.contract.parameters import check_declared
from axonlab_core.contract.plain_words import in_plain_words
from axonlab_core.contract.tickets import Blob
from axonlab_hub.auth import Person
from axonlab_hub.holdings import Holdings, holdings_for_admission
from axonlab_hub.job_models import find_model, require_offered
from axonlab_hub.model_cards import read_card
from axonlab_hub.store import Store

_MAX_MANIFEST_BYTES = 16 * 2**20
AnySpec = TrainSpec | InferSpec


def placed(spec: AnySpec, person: Person) -> AnySpec:
    """The spec with its course: the one that it names, or the person's only one.

    Raises
    ------
    NotAllowed
        If it names a course of somebody else.
    """
    if spec.course is None:
        courses = list(person.courses)
        return spec.model_copy(update={"course": courses[0]}) if len(courses) == 1 else spec
    require_member(person, spec.course)
    return spec


def require_member(person: Person, course: str) -> None:
    """Let students and staff of the course pass.

    Raises
    ------
    NotAllowed
        If the person is neither.
    """
    if not person.belongs_to(course):
        raise NotAllowed(
            f"{person.name} is not in the course {course}.",
            remedy="Check the course's name, or log in again if you have just been added to it.",
        )


def admit(spec: AnySpec, person: Person, store: Store, storage: Storage) -> None:
    """Let the job in, its course being settled.

    Raises
    ------
    BadInput, NotFound, Conflict, NotAllowed
        If something it needs is not there; the message names it.
    """
    check_declared(spec.kind, spec.parameters)
    holdings = holdings_for_admission(store, storage, person.name, spec.course)
    manifest = read_manifest(holdings, spec.dataset)
    _check_blobs(holdings, manifest)
    if isinstance(spec, TrainSpec):
        _check_labels(manifest)
    if spec.input_model is not None:
        source = spec.input_model[0]
        key, name = _find_model(source, person, store, storage)
        if isinstance(spec, TrainSpec):
            check_base(read_card(storage, key, name=name), manifest, spec.preset)
        elif not isinstance(source, JobModel):  # a job's own was checked by its runner
            read_card(storage, key, name=name)


def read_manifest(holdings: Holdings, sha256: str) -> DatasetManifest:
    """The data set's manifest.

    Raises
    ------
    BadInput
        If it was not uploaded, or is no manifest.
    """
    found = holdings.find(sha256)
    if found is None:
        raise BadInput(
            f"The data set {sha256[:12]}… has not been uploaded.", remedy="Upload its manifest, then submit again."
        )
    try:
        return DatasetManifest.model_validate_json(holdings.storage.read(found[0], max_bytes=_MAX_MANIFEST_BYTES))
    except ValidationError as error:
        raise BadInput(
            f"{sha256[:12]}… is not a data set's manifest. {in_plain_words(error.errors())}",
            remedy="Build the data set with axonlab.dataset(...).",
        ) from error


def _check_blobs(holdings: Holdings, manifest: DatasetManifest) -> None:
    for image in manifest.images:
        for what, blob in (("image", image.image), ("label file", image.labels)):
            if blob is not None:
                require_blob(holdings, blob, f"The {what} of {image.name}")


def require_blob(holdings: Holdings, blob: Blob, what: str) -> str:
    """Storage key of the blob.

    Raises
    ------
    BadInput
        If it is not there, or has another size.
    """
    found = holdings.find(blob.sha256)
    if found is None:
        raise BadInput(f"{what} has not been uploaded.", remedy="Upload it, then submit again.")
    key, size = found
    if size != blob.size_bytes:
        raise BadInput(
            f"{what} has {size} bytes, and the data set says {blob.size_bytes}.", remedy="Build the data set again."
        )
    return key


def _check_labels(manifest: DatasetManifest) -> None:
    if not any(image.labels and image.split in {Split.train, Split.auto} for image in manifest.images):
        raise BadInput(
            f"None of the {len(manifest.images)} images that may be trained on has labels.",
            remedy="Annotate at least one image whose split is train or auto.",
        )


def _find_model(source: ModelSource, person: Person, store: Store, storage: Storage) -> tuple[str, str]:
    """Storage key of the model, and what to call it."""
    with store.read() as rows:
        if isinstance(source, PublishedModel):
            require_member(person, source.course)
            require_offered(rows, source)
        key, blob = find_model(rows, storage, person.name, source)
    return key, f"The model {blob.sha256[:12]}…"
