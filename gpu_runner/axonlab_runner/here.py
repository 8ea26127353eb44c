"""A run without a hub: the same lifecycle, the same notebooks, the same bundle, on this machine."""

from __future__ import annotations

import itertools
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
from axonlab_runner.source import Check
from axonlab_runner.watch import Stop, Watch

_HEARTBEAT_S = 10.0
_GRACE_S = 20.0
_OWN = ".axonlab-"
"""Our working folder inside the one for the result: the last step is a rename then."""
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
        self.cancelled = False

    def close(self) -> None:
        """Let an open heartbeat end."""
        self._over.set()

    def heartbeat(self, wait_s: float) -> HeartbeatAnswer:
        """Nobody can take this run away."""
        self._over.wait(wait_s)
        return HeartbeatAnswer(lease_expires_at=utc_now() + _DAY)

    def hurry(self) -> None:
        """Nothing: nobody is waited for."""

    def fetch_inputs(self, inputs: Path, checkpoints: Path, check: Check) -> list[FileBlob]:
        """Copies of the files."""
        del checkpoints
        places = {sha256: inputs / "blobs" / sha256 for sha256 in self._blobs}
        places[self.claim.spec.dataset] = inputs / "dataset.json"
        sources = {places[sha256]: path for sha256, path in self._blobs.items()}
        needed = self.claim.spec.input_model
        if needed is not None and self._model is not None:
            sources[inputs / needed[1]] = self._model
        for target, source in sources.items():
            check()
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

    def save_results(self, results: Path, files: Sequence[FileBlob], check: Check) -> None:
        """Remember where the results are; they move as a whole."""
        del files, check
        self._results = results

    def complete(self, files: Sequence[FileBlob]) -> None:
        """Put the bundle where it was asked for."""
        del files
        _move_into(self._bundle, self._out)

    def fail(self, reason: Reason, message: str, files: Sequence[FileBlob]) -> None:
        """Keep the report beside where the result would have been."""
        remedy = ""
        if files:
            report = _free_name(self._out)
            report.mkdir()
            for file in files:
                shutil.copyfile(self._bundle / file.path, report / Path(file.path).name)
            remedy = f"The report of the run is in {report}."
        self.failure = JobFailed(f"The job failed ({reason}): {message}", remedy=remedy)
        self.cancelled = reason is Reason.cancelled_by_user

    def release(self, message: str) -> None:
        """There is nobody to give it to."""
        self.failure = JobFailed(f"The job was stopped. {message}", remedy="Start it again.")

    @property
    def _bundle(self) -> Path:
        if self._results is None:
            raise PlatformError("A run without results was to be kept.")
        return self._results


def _move_into(bundle: Path, out: Path) -> None:
    """Move what is in `bundle` into the folder `out`, which was empty when the run began.

    Raises
    ------
    PlatformError
        If something has been put there meanwhile; the bundle is kept beside it then.
    """
    if any(path for path in out.iterdir() if not path.name.startswith(_OWN)):
        kept = _free_name(out, "result")
        shutil.move(bundle, kept)
        raise PlatformError(f"{out} is not empty any more.", remedy=f"The result is in {kept}.")
    for path in bundle.iterdir():
        shutil.move(path, out / path.name)


def _free_name(out: Path, what: str = "failed") -> Path:
    """A name beside `out` that nobody has."""
    names = (out.with_name(f"{out.name}.{what}{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _make_out(out: Path) -> Path:
    """The folder for the result: there, ours to write, and empty.

    Raises
    ------
    BadInput
        If it cannot be that.
    """
    out = out.expanduser().resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise BadInput(f"{out} is not empty.", remedy="Name a new folder with --out, or empty this one.")
        with tempfile.TemporaryFile(dir=out):
            return out
    except OSError as error:
        raise BadInput(f"Nothing can be written to {out} ({error.strerror}).", remedy="Name another --out.") from error


@contextmanager
def _interruptible() -> Iterator[Callable[[Watch], None]]:
    """In this block Ctrl+C (or SIGTERM) cancels the run, in order, instead of tearing it apart."""
    watches: list[Watch] = []

    def cancel(number: int, frame: FrameType | None) -> None:
        del number, frame
        for watch in watches:
            watch.ask(Stop.cancelled)

    if threading.current_thread() is not threading.main_thread():
        yield watches.append  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield watches.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    KeyboardInterrupt
        If it was interrupted; it has wound up in order then.
    """
    out = _make_out(out)
    run = LocalRun(spec, blobs=blobs, model=model, out=out, on_event=on_event)
    try:
        with tempfile.TemporaryDirectory(prefix=_OWN, dir=out) as folder, _interruptible() as attend:
            workspace = Path(folder) / "run"
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
            out.rmdir()  # as it was: there is no result
    if run.cancelled:
        raise KeyboardInterrupt
    if run.failure is not None:
        raise run.failure
    return out
