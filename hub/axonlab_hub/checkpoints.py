"""Checkpoints of a job: the newest two are kept while it is not over."""

from __future__ import annotations

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.events import CheckpointEvent
from axonlab_core.contract.keys import checkpoint_key, run_prefix
from axonlab_core.contract.tickets import FileBlob
from axonlab_hub.access import RunCall
from axonlab_hub.store import Rows, Store
from axonlab_hub.tables import CheckpointRow

KEPT = 2


def note_checkpoint(rows: Rows, call: RunCall, event: CheckpointEvent) -> None:
    """Remember a checkpoint that has been uploaded; one without a hash is still on the runner's disk only."""
    if event.sha256 is None:
        return
    if event.size_bytes is None:
        raise BadInput("A checkpoint with a hash needs its size_bytes.", remedy="Send both.")
    rows.put(
        CheckpointRow(
            job_id=call.job_id,
            attempt=call.attempt,
            sha256=event.sha256,
            step=event.step,
            size_bytes=event.size_bytes,
        )
    )


def newest_checkpoint(rows: Rows, storage: Storage, job_id: str, *, before: int) -> tuple[str, FileBlob] | None:
    """Key and file of the newest checkpoint that attempts before `before` left behind."""
    for row in rows.checkpoints(job_id):
        key = checkpoint_key(job_id, row.attempt, row.sha256)
        if row.attempt < before and storage.size_bytes(key) == row.size_bytes:
            path = f"checkpoints/checkpoint-{row.step:08d}.safetensors"
            return key, FileBlob(sha256=row.sha256, size_bytes=row.size_bytes, path=path)
    return None


def drop_old(store: Store, storage: Storage, job_id: str) -> None:
    """Delete all checkpoints but the newest ones."""
    with store.read() as rows:
        old = rows.checkpoints(job_id)[KEPT:]
    # First the artifacts, then the rows that know of them: what is interrupted is done again.
    for row in old:
        storage.delete(checkpoint_key(job_id, row.attempt, row.sha256))
    if old:
        with store.write() as rows:
            for row in old:
                rows.forget_checkpoint(row)


def drop_all(store: Store, storage: Storage, job_id: str) -> None:
    """Delete every checkpoint of a job that is over, also those that were uploaded and never spoken of."""
    with store.read() as rows:
        job = rows.job(job_id)
        known = rows.checkpoints(job_id)
    for attempt in range(1, (job.attempt if job is not None else 0) + 1):
        storage.delete(f"{run_prefix(job_id, attempt)}/checkpoints")
    if known:
        with store.write() as rows:
            for row in known:
                rows.forget_checkpoint(row)
