"""The runner's loop: ask for work, claim it, carry it out; end cleanly when asked to."""

from __future__ import annotations

import fcntl
import logging
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from axonlab_core.contract.errors import AxonlabError, Unavailable
from axonlab_core.contract.kinds import Capabilities
from axonlab_runner.lifecycle import carry_out
from axonlab_runner.machine import measure
from axonlab_runner.settings import Settings
from axonlab_runner.source import ServiceRun, ServiceSource
from axonlab_runner.warmth import WarmParent
from axonlab_runner.watch import Stop, Watch

logger = logging.getLogger(__name__)


class ShutDown(BaseException):
    """SIGTERM or SIGINT came while the runner was waiting for work."""


class Worker:
    """Takes one job at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch: Watch | None = None
        self._idle = False
        self._leaving = False
        self._warm: WarmParent | None = None

    def work(self) -> int:
        """Number of jobs that were taken, once there is a reason to end."""
        source = ServiceSource(self._settings.service_url, self._settings.token.get_secret_value())
        taken = 0
        try:
            with _own_folder(self._settings.work_dir) as folder, self._signals(), self._warmth(folder):
                while not self._leaving:
                    if self._warm is not None:
                        self._warm.ensure()
                    run = self._next_run(source, folder)
                    if run is not None:
                        taken += 1
                        self._carry_out(run, folder / f"{run.claim.job_id}-{run.claim.attempt}")
                    if self._settings.once:
                        break
        except ShutDown:
            logger.info("asked to stop while idle")
        finally:
            source.close()
        return taken

    def _measure(self, folder: Path) -> Capabilities:
        return measure(self._settings.name, self._settings.kinds, self._settings.device, folder)

    def _next_run(self, source: ServiceSource, folder: Path) -> ServiceRun | None:
        machine = self._measure(folder)
        self._idle = True
        try:
            job_id = source.next_job(machine, wait_s=0 if self._settings.once else self._settings.poll_s)
        except Unavailable as error:
            if self._settings.once:
                raise
            logger.warning("%s", error)  # `next_job` itself has waited long enough between its tries
            return None
        finally:
            self._idle = False
        if job_id is None or self._leaving:
            return None
        return source.claim(job_id, machine)

    def _carry_out(self, run: ServiceRun, workspace: Path) -> None:
        logger.info("run %s/%d claimed", run.claim.job_id, run.claim.attempt)
        try:
            reason = carry_out(
                run,
                workspace,
                lambda: self._measure(workspace),
                grace_s=self._settings.grace_s,
                warm_parent=lambda: self._warm.socket if self._warm is not None else None,
                on_watch=self._attend,
            )
            logger.info("run %s/%d ended: %s", run.claim.job_id, run.claim.attempt, reason or "given back")
        except AxonlabError as error:
            # The lease settles it: the job is taken up again from its last checkpoint.
            logger.warning("run %s/%d: its end could not be reported: %s", run.claim.job_id, run.claim.attempt, error)
        finally:
            self._watch = None
            run.close()

    def _attend(self, watch: Watch) -> None:
        self._watch = watch
        if self._leaving:
            watch.ask(Stop.shutdown)

    @contextmanager
    def _warmth(self, folder: Path) -> Iterator[None]:
        """A warm parent for every job of this block; who does one job only gains nothing from it."""
        if not self._settings.once:
            machine = self._measure(folder)
            self._warm = WarmParent(folder / "warm", cores=machine.cores, device=machine.device)
        try:
            yield
        finally:
            if self._warm is not None:
                self._warm.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._leave) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._leaving = True
        if self._watch is not None:
            self._watch.ask(Stop.shutdown)
        elif self._idle:
            raise ShutDown


@contextmanager
def _own_folder(work_dir: Path) -> Iterator[Path]:
    """A folder for this process alone; those of runners that were killed are removed first."""
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for lock_file in work_dir.glob("runner-*/lock"):
        with lock_file.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # alive
            logger.info("removing what a killed runner left in %s", lock_file.parent.name)
            shutil.rmtree(lock_file.parent)
    folder = Path(tempfile.mkdtemp(prefix="runner-", dir=work_dir))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
