"""Is a run's result bundle complete?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import Conflict
from axonlab_core.contract.keys import result_key
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.tickets import FileBlob
from axonlab_hub.job_models import MODEL_PATH
from axonlab_hub.tables import ArtifactRow

_MASKS = "masks/"


def require_bundle(
    storage: Storage,
    job_id: str,
    attempt: int,
    *,
    kind: Kind,
    files: Sequence[FileBlob],
    announced: Iterable[ArtifactRow],
) -> None:
    """Let the bundle pass.

    Raises
    ------
    Conflict
        If a file is missing in storage or is another than was uploaded, or if the kind's result is not there.
    """
    hashes = {row.path: row.sha256 for row in announced}
    for file in files:
        size = storage.size_bytes(result_key(job_id, attempt, file.path))
        if size is None:
            raise Conflict(f"{file.path} has not been uploaded.", remedy="Upload it, then complete again.")
        if size != file.size_bytes or hashes.get(file.path) != file.sha256:
            raise Conflict(
                f"{file.path} is not the file that was uploaded.", remedy="Name files as they were uploaded."
            )
    paths = {file.path for file in files}
    if kind is Kind.train and MODEL_PATH not in paths:
        raise Conflict(f"The bundle of a train job needs {MODEL_PATH}.", remedy="Upload it, or fail the run.")
    if kind is Kind.infer and not any(path.startswith(_MASKS) for path in paths):
        raise Conflict("The bundle of an infer job needs a file in masks/.", remedy="Upload it, or fail the run.")


def present_files(storage: Storage, job_id: str, attempt: int, files: Iterable[FileBlob]) -> tuple[FileBlob, ...]:
    """Those of the files that are in storage with their size: what a failed run leaves to its owner."""
    return tuple(
        file for file in files if storage.size_bytes(result_key(job_id, attempt, file.path)) == file.size_bytes
    )
