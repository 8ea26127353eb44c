"""A run without a hub: the same lifecycle, the same notebooks, the same bundle, on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Literal

from axonlab_core.backends.transfer import describe
from axonlab_core.contract.base import utc_now
from axonlab_core.contract.errors import BadInput, JobFailed, PlatformError
from axonlab_core.contract.events import EventBody, RunnerEvent
from axonlab_core.contract.jobs import JobSpec
from axonlab_core.contract.runs import Claim, HeartbeatAnswer
from axonlab_core.contract.states import Reason
from axonlab_core.contract.tickets import FileBlob
from axonlab_runner.lifecycle import carry_out
from axonlab_runner.machine import measure
from axonlab_runner.watch import Stop, Watch

_HEARTBEAT_S = 10.0
_GRACE_S = 20.0
_DAY = timedelta(days=1)


class LocalRun:
    """A run whose inputs are files of this machine and whose result is a folder of it."""

    def __init__(
        self,
        spec: JobSpec,
        *,
        blobs: Mapping[str, Path],
        model: Path | None,
        out: Path,
        on_event: Callable[[EventBody], None],
    ) -> None:
        self.claim = Claim(
            job_id=secrets.token_hex(8),
            attempt=1,
            token="none",  # noqa: S106 (there is nobody to show one to)
            lease_s=_DAY.total_seconds(),
            heartbeat_s=_HEARTBEAT_S,
            owner=str(os.getuid()),
            spec=spec,
            wall_clock_s=spec.wall_clock_s,
        )
        self._blobs = blobs
        self._model = model
        self._out = out
        self._on_event = on_event
        self._over = threading.Event()
        self._results: Path | None = None
        self.failure: JobFailed | None = None

    def close(self) -> None:
        """Let an open heartbeat end."""
        self._over.set()

    def heartbeat(self, wait_s: float) -> HeartbeatAnswer:
        """Nobody can take this run away."""
        self._over.wait(wait_s)
        return HeartbeatAnswer(lease_expires_at=utc_now() + _DAY)

    def fetch_inputs(self, inputs: Path, checkpoints: Path) -> list[FileBlob]:
        """Hard links, or copies where the file system does not allow them."""
        del checkpoints
        places = {sha256: inputs / "blobs" / sha256 for sha256 in self._blobs}
        places[self.claim.spec.dataset] = inputs / "dataset.json"
        sources = {places[sha256]: path for sha256, path in self._blobs.items()}
        if self._model is not None:
            sources[inputs / "model.safetensors"] = self._model
        for target, source in sources.items():
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
        return [
            FileBlob(path=target.relative_to(inputs).as_posix(), **describe(target).model_dump()) for target in sources
        ]

    def send_events(self, first: int, events: Sequence[RunnerEvent]) -> None:
        """Pass events on."""
        del first
        for event in events:
            self._on_event(event)

    def save_checkpoint(self, path: Path, file: FileBlob) -> None:
        """Nothing: nobody else could go on with it."""

    def save_results(self, results: Path, files: Sequence[FileBlob]) -> None:
        """Remember where the results are; they move as a whole."""
        del files
        self._results = results

    def complete(self, files: Sequence[FileBlob]) -> None:
        """Put the bundle where it was asked for, in one rename."""
        self._keep(files, self._out)

    def fail(self, reason: Reason, message: str, files: Sequence[FileBlob]) -> None:
        """Keep the report beside where the result would have been."""
        report = self._out.with_name(f"{self._out.name}.failed")
        remedy = ""
        if files and self._results is not None:
            if report.exists():
                shutil.rmtree(report)
            self._keep(files, report)
            remedy = f"The report of the run is in {report}."
        self.failure = JobFailed(f"The job failed ({reason}): {message}", remedy=remedy)

    def release(self, message: str) -> None:
        """There is nobody to give it to."""
        self.failure = JobFailed(f"The job was stopped. {message}", remedy="Start it again.")

    def _keep(self, files: Sequence[FileBlob], target: Path) -> None:
        if self._results is None:
            raise PlatformError("A run without results was to be kept.")
        wanted = {file.path for file in files}
        for path in [path for path in self._results.rglob("*") if path.is_file()]:
            if path.relative_to(self._results).as_posix() not in wanted:
                path.unlink()
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        self._results.rename(target)


@contextmanager
def _interruptible() -> Iterator[Callable[[Watch], None]]:
    """In this block Ctrl+C cancels the run, in order, instead of tearing it apart."""
    watches: list[Watch] = []

    def cancel(number: int, frame: FrameType | None) -> None:
        del number, frame
        for watch in watches:
            watch.ask(Stop.cancelled)

    if threading.current_thread() is not threading.main_thread():
        yield watches.append  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield watches.append
    finally:
        signal.signal(signal.SIGINT, before)


def run_here(
    spec: JobSpec,
    *,
    blobs: Mapping[str, Path],
    model: Path | None,
    out: Path,
    on_event: Callable[[EventBody], None],
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> Path:
    """The folder `out` with the result bundle of `spec`, executed on this machine.

    Parameters
    ----------
    blobs : mapping
        File of each blob by its SHA-256: the data set's manifest, images and label images.
    model : Path, optional
        The model to segment with.
    out : Path
        A folder that does not exist yet or is empty.

    Raises
    ------
    BadInput
        If `out` holds something already.
    JobFailed
        If the run ends without a result; says why.
    """
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not empty.", remedy="Name a new folder with --out, or empty this one.")
    out.parent.mkdir(parents=True, exist_ok=True)
    run = LocalRun(spec, blobs=blobs, model=model, out=out, on_event=on_event)
    # Beside the result, so that the last step is a rename.
    with tempfile.TemporaryDirectory(prefix=".axonlab-", dir=out.parent) as folder:
        workspace = Path(folder) / "run"
        try:
            with _interruptible() as attend:
                carry_out(
                    run,
                    workspace,
                    lambda: measure("here", (spec.kind,), device, workspace),
                    grace_s=_GRACE_S,
                    on_watch=attend,
                )
        finally:
            run.close()
    if run.failure is not None:
        raise run.failure
    return out
