"""One run from its claim to its end, step by step."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from axonlab_core.contract.dataset import DatasetManifest
from axonlab_core.contract.errors import AxonlabError, BadInput, Fenced, Unfit
from axonlab_core.contract.events import CheckpointEvent, NotebookEvent, WarningEvent
from axonlab_core.contract.jobs import JobSpec, TrainSpec
from axonlab_core.contract.kinds import Capabilities
from axonlab_core.contract.states import Reason
from axonlab_core.contract.tickets import FileBlob
from axonlab_notebooks import job_notebook
from axonlab_runner import bundle
from axonlab_runner.checkpoints import CheckpointUploads
from axonlab_runner.child import run_notebook
from axonlab_runner.failure import Memory, NotebookFailed
from axonlab_runner.machine import check
from axonlab_runner.record import Logbook
from axonlab_runner.reporter import Reporter
from axonlab_runner.source import Run
from axonlab_runner.watch import Stop, Stopped, Watch

logger = logging.getLogger(__name__)

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STOPPED = {
    Stop.cancelled: (Reason.cancelled_by_user, "The job was cancelled while it ran."),
    Stop.timeout: (Reason.timeout, "The run reached its limit of {minutes:.0f} minutes and was stopped."),
}


class JobRefused(AxonlabError):
    """The job itself cannot be carried out as it was asked for: its owner has to change something."""

    reason = Reason.bad_input


def carry_out(
    run: Run,
    workspace: Path,
    measure: Callable[[], Capabilities],
    *,
    grace_s: float,
    warm_parent: Callable[[Watch], Path | None] = lambda _: None,
    on_watch: Callable[[Watch], None] = lambda _: None,
) -> Reason | None:
    """Why the run is over; None if its job was given back or belongs to somebody else by now.

    Parameters
    ----------
    workspace : Path
        A new folder for this run alone; removed at the end.
    measure : callable
        What this machine has at the moment.
    grace_s : float
        Between asking the kernel to stop and killing it, in seconds.
    warm_parent : callable
        Socket of a parent to fork processes from, None if there is none; may wait for one while the run may go on.
    on_watch : callable
        Is given the run's watch, for whoever may have to stop it.
    """
    workspace.mkdir(parents=True, mode=0o700)
    try:
        with Watch(run) as watch, Reporter(run) as reporter:
            watch.listen(lambda stop: run.hurry() if stop is Stop.shutdown else None)
            on_watch(watch)
            lifecycle = _Lifecycle(
                run,
                workspace,
                watch=watch,
                reporter=reporter,
                measure=measure,
                warm_parent=warm_parent,
                grace_s=grace_s,
            )
            return lifecycle.carry_out()
    finally:
        _remove(workspace)


class _Lifecycle:
    def __init__(
        self,
        run: Run,
        workspace: Path,
        *,
        watch: Watch,
        reporter: Reporter,
        measure: Callable[[], Capabilities],
        warm_parent: Callable[[Watch], Path | None],
        grace_s: float,
    ) -> None:
        self._warm_parent = warm_parent
        self._run = run
        self._workspace = workspace
        self._results = workspace / "results"
        self._watch = watch
        self._reporter = reporter
        self._grace_s = grace_s
        self._logbook = Logbook(run.claim, reporter.event)
        self._measure = measure

    def carry_out(self) -> Reason | None:
        """Every step, or the step that says why not."""
        try:
            self._work()
        except Stopped as stopped:
            return self._give_up(stopped.stop)
        except (NotebookFailed, JobRefused) as error:
            return self._fail(error.reason, str(error))
        except AxonlabError as error:
            return self._settle(error)
        except Exception as error:  # the one place of the runner where nothing may pass: a defect or a full disk
            logger.exception("run %s failed", self._run.claim.job_id)
            what = f"The run failed in a way that was not foreseen ({type(error).__name__}: {error})."
            return self._fail(Reason.platform, what)
        return Reason.done

    def _settle(self, error: AxonlabError) -> Reason | None:
        """How a run ends that the platform has failed: nothing of this is its owner's doing."""
        if isinstance(error, Fenced) or self._watch.stop is Stop.fenced:
            return self._give_up(Stop.fenced)
        if isinstance(error, Unfit):
            logger.warning("run %s: %s", self._run.claim.job_id, error)
            self._release(str(error))
            return Reason.platform
        logger.error("run %s failed", self._run.claim.job_id, exc_info=error)
        return self._fail(Reason.platform, str(error))

    def _work(self) -> None:
        step = self._logbook.step
        claim = self._run.claim
        for folder in ("inputs", "checkpoints", "results"):
            (self._workspace / folder).mkdir(mode=0o700)
        with step("check_environment"):
            machine = self._measure()
            self._logbook.record.machine = machine
            check(claim.spec.kind, machine)
        self._watch.check()
        with step("fetch_inputs"):
            manifest = self._fetch()
        self._watch.check()
        with step("execute"):
            self._execute(machine)
        self._watch.check()
        with step("verify"):
            bundle.verify(claim.spec, manifest, self._results)
        with step("release"):
            # The kernel, and with it the GPU, is free already; the training data go now.
            for folder in ("inputs", "checkpoints", "home", "tmp"):
                _remove(self._workspace / folder)
        self._watch.check()
        files = self._upload()
        self._watch.check_claim()
        self._reporter.flush()  # a run that is complete is no longer listened to
        self._run.complete(files)

    def _fetch(self) -> DatasetManifest:
        inputs = self._workspace / "inputs"
        checkpoints = self._workspace / "checkpoints"
        record = self._logbook.record
        record.inputs = self._run.fetch_inputs(inputs, checkpoints, self._watch.check)
        found = sorted(path.name for path in checkpoints.iterdir())
        if found:
            record.resumed_from = found[-1]
            self._reporter.log("runner", f"going on from {found[-1]}\n")
            logger.info("run %s/%d goes on from %s", record.job_id, record.attempt, found[-1])
        try:
            return DatasetManifest.model_validate_json((inputs / "dataset.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise JobRefused(f"The data set cannot be read ({error}).", remedy="Build and upload it again.") from error

    def _execute(self, machine: Capabilities) -> None:
        claim = self._run.claim
        try:
            parameters = {"threads": machine.cores} | notebook_parameters(claim.spec, claim.job_id)
        except BadInput as error:
            raise JobRefused(error.message, remedy=error.remedy) from error
        warm_parent = self._warm_parent(self._watch)
        self._watch.check()
        memory = Memory.now()
        with CheckpointUploads(self._run, self._workspace, self._reporter.event) as uploads:

            def on_event(event: NotebookEvent) -> None:
                if isinstance(event, CheckpointEvent):
                    uploads.announce(event)
                elif isinstance(event, WarningEvent):
                    self._logbook.warn(event.message)
                else:
                    self._reporter.event(event)

            outcome = run_notebook(
                job_notebook(claim.spec.kind),
                parameters,
                self._workspace,
                cores=machine.cores,
                device=machine.device,
                warm_parent=warm_parent,
                watch=self._watch,
                grace_s=self._grace_s,
                on_event=on_event,
                on_log=self._reporter.log,
            )
            if outcome.status == "ok":
                uploads.pass_over()
        self._logbook.record.peak_memory_bytes = outcome.peak_memory_bytes
        self._watch.check()  # a notebook that was interrupted ends with an error too
        if outcome.status != "ok":
            self._reporter.log("stderr", _ANSI.sub("", outcome.traceback))
            raise NotebookFailed(outcome, memory)

    def _upload(self) -> list[FileBlob]:
        record = self._results / bundle.RECORD
        with self._logbook.step("upload"):
            files = bundle.list_files(self._results)
            self._run.save_results(self._results, files, self._watch.check)
        # The record goes last, so that it tells of every step but its own arrival.
        self._logbook.record.outcome = Reason.done
        self._logbook.begin("complete")
        self._logbook.write(record)
        files.append(FileBlob(path=bundle.RECORD, **bundle.describe(record).model_dump()))
        files.append(bundle.write_manifest(self._results, files))
        self._run.save_results(self._results, files[-2:], self._watch.check_claim)
        return files

    def _give_up(self, stop: Stop) -> Reason | None:
        if stop is Stop.fenced:
            logger.info("run %s/%d is not the job's run any more", self._run.claim.job_id, self._run.claim.attempt)
            return None
        if stop is Stop.shutdown:
            self._release("The runner was asked to stop; another one goes on from the last checkpoint.")
            return None
        reason, message = _STOPPED[stop]
        return self._fail(reason, message.format(minutes=self._run.claim.wall_clock_s / 60))

    def _release(self, message: str) -> None:
        self._reporter.flush()
        self._run.release(message)

    def _fail(self, reason: Reason, message: str) -> Reason:
        """Tell the service, with whatever the owner can learn from."""
        self._logbook.record.outcome = reason
        kept: list[FileBlob] = []
        try:
            self._results.mkdir(exist_ok=True)
            self._logbook.write(self._results / bundle.RECORD)
            kept = [file for file in bundle.list_files(self._results) if file.path in {bundle.RECORD, bundle.REPORT}]
            self._run.save_results(self._results, kept, lambda: None)
        except (AxonlabError, OSError) as error:
            logger.warning("the report of the failed run %s was lost: %s", self._run.claim.job_id, error)
            kept = []
        self._reporter.flush()
        self._run.fail(reason, message, kept)
        return reason


def notebook_parameters(spec: JobSpec, job_id: str) -> dict[str, Any]:
    """What papermill hands to the job notebook of `spec`; names of its own parameters were checked at admission.

    Raises
    ------
    BadInput
        If a free parameter has the name of one that the spec itself sets.
    """
    own: dict[str, Any] = {"workspace": ".", "job_id": job_id}
    if isinstance(spec, TrainSpec):
        own |= {"preset": spec.preset, "minutes": spec.minutes, "steps": spec.steps, "seed": spec.seed}
    both = sorted(set(own) & set(spec.parameters))
    if both:
        raise BadInput(
            f"The parameter {', '.join(both)} is set by the job itself.", remedy="Leave it out of the parameters."
        )
    return own | dict(spec.parameters)


def _remove(folder: Path) -> None:
    """Remove a folder; what cannot be removed is no reason to lose a result over."""

    def note(_: object, path: str, error: tuple[object, BaseException, object]) -> None:
        logger.warning("%s cannot be removed: %s", path, error[1])

    shutil.rmtree(folder, onerror=note)
