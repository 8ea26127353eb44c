"""The runner's loop: ask for work, claim it, carry it out; end cleanly when asked to."""

from __future__ import annotations

import fcntl
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from axonlab_core.contract.errors import AxonlabError, PlatformError
from axonlab_core.contract.kinds import Capabilities
from axonlab_core.contract.states import Reason
from axonlab_runner.lifecycle import carry_out
from axonlab_runner.machine import measure
from axonlab_runner.settings import Settings
from axonlab_runner.source import ServiceRun, ServiceSource
from axonlab_runner.warmth import WarmParent
from axonlab_runner.watch import Stop, Watch

logger = logging.getLogger(__name__)

_PATIENCE_S = 10.0
_FIRST_PAUSE_S = 1.0
_MAX_PAUSE_S = 60.0


class ShutDown(BaseException):
    """SIGTERM or SIGINT came while the runner was waiting for work."""


class Worker:
    """Takes one job at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch: Watch | None = None
        self._idle = False
        self._leaving = False
        self._pause_s = 0.0
        self._warm: WarmParent | None = None

    def work(self) -> int:
        """Number of jobs that were taken, once there is a reason to end."""
        source = ServiceSource(
            self._settings.service_url, self._settings.token.get_secret_value(), patience_s=_PATIENCE_S
        )
        taken = 0
        try:
            with _own_folder(self._settings.work_dir) as folder, self._signals(), self._warmth(folder):
                while not self._leaving:
                    self._keep_warm()
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
        """A claimed run, None if there is nothing to do now. A runner outlives its service's troubles."""
        try:
            machine = self._measure(folder)
            self._idle = True
            try:
                job_id = source.next_job(machine, wait_s=0 if self._settings.once else self._settings.poll_s)
            finally:
                self._idle = False
            if job_id is None or self._leaving:
                return None
            return source.claim(job_id, machine)
        except (PlatformError, OSError) as error:
            if self._settings.once:
                raise
            self._pause(error)
            return None

    def _pause(self, why: object) -> None:
        """Wait a little, longer each time in a row, so that a sick machine does not burn one job after another."""
        self._pause_s = min(2 * self._pause_s or _FIRST_PAUSE_S, _MAX_PAUSE_S)
        logger.warning("%s; going on in %.0f s", why, self._pause_s)
        self._idle = True  # a signal ends the sleep
        time.sleep(self._pause_s)
        self._idle = False

    def _carry_out(self, run: ServiceRun, workspace: Path) -> None:
        logger.info("run %s/%d claimed", run.claim.job_id, run.claim.attempt)
        try:
            reason = carry_out(
                run,
                workspace,
                lambda: self._measure(workspace),
                grace_s=self._settings.grace_s,
                warm_parent=lambda watch: self._warm.await_socket(watch) if self._warm is not None else None,
                on_watch=self._attend,
            )
        except (AxonlabError, OSError) as error:
            # The lease settles it: the job is taken up again from its last checkpoint.
            self._pause(f"run {run.claim.job_id}/{run.claim.attempt}: its end could not be reported: {error}")
        else:
            logger.info("run %s/%d ended: %s", run.claim.job_id, run.claim.attempt, reason or "given back")
            if reason is Reason.platform:
                self._pause("the last run failed for a reason of this platform")
            else:
                self._pause_s = 0.0
        finally:
            self._watch = None
            run.close()

    def _keep_warm(self) -> None:
        try:
            if self._warm is not None:
                self._warm.ensure()
        except OSError as error:
            logger.warning("jobs start cold: %s", error)
            self._warm = None

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
    for left in work_dir.glob("runner-*"):
        _remove_if_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix="runner-", dir=work_dir))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            logger.info("removing what a killed runner left in %s", folder.name)
            shutil.rmtree(folder, ignore_errors=True)
    except (BlockingIOError, FileNotFoundError):
        return  # it is at work, or somebody else was quicker
