"""What is noted of each trained model, once, so that a list opens no file."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import BadInput, NotFound
from axonlab_core.contract.keys import result_key
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.models import ModelSummary
from axonlab_core.contract.tickets import Blob, FileBlob
from axonlab_hub.job_models import MODEL_PATH
from axonlab_hub.model_cards import read_card
from axonlab_hub.store import Store
from axonlab_hub.tables import JobRow, ModelRow

logger = logging.getLogger(__name__)
_AT_ONCE = 20


def model_row(storage: Storage, job: JobRow, files: Iterable[FileBlob]) -> ModelRow | None:
    """What to note of the model that a run of `job` brings; None if it brings none."""
    model = next((file for file in files if file.path == MODEL_PATH), None)
    return None if model is None or job.kind != Kind.train else _row(storage, job, model)


def note_missing_models(store: Store, storage: Storage) -> None:
    """Note the models of jobs that succeeded under a version which did not do so itself."""
    with store.read() as rows:
        found = [(job, rows.artifact(job.id, job.attempt, MODEL_PATH)) for job in rows.without_model_row(_AT_ONCE)]
    for job, file in found:
        if file is not None:
            row = _row(storage, job, Blob(sha256=file.sha256, size_bytes=file.size_bytes))
            with store.write() as rows:
                rows.put(row)


def _row(storage: Storage, job: JobRow, model: Blob) -> ModelRow:
    summary: str | None = None
    try:
        card = read_card(storage, result_key(job.id, job.attempt, MODEL_PATH))
        summary = ModelSummary.of(card).model_dump_json()
    except (BadInput, NotFound) as error:
        # The work is done and its owner has the file; the list shows it without scores.
        logger.warning("the model of job %s shows no card: %s", job.id, error)
    return ModelRow(job_id=job.id, sha256=model.sha256, size_bytes=model.size_bytes, summary=summary)
