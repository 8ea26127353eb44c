"""Where runs come from and where their results go: the port between the lifecycle and the world.

`ServiceRun` speaks with the service; `here.LocalRun` is its twin without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from axonlab_core import __version__
from axonlab_core.backends.service import ServiceSession
from axonlab_core.backends.transfer import download, upload_all
from axonlab_core.contract.errors import Conflict, NotAllowed, NotFound
from axonlab_core.contract.events import EventsRequest, RunnerEvent
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.kinds import Capabilities
from axonlab_core.contract.runs import (
    Accepted,
    Claim,
    ClaimRequest,
    CompleteRequest,
    FailRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
    InputsAnswer,
    NextAnswer,
    NextRequest,
    OutputsAnswer,
    OutputsRequest,
    ReleaseRequest,
)
from axonlab_core.contract.states import Reason
from axonlab_core.contract.tickets import FileBlob, Ticket

_OUTAGE_S = 600.0
"""How long a run waits for a service that is away: a model of an hour's work is not thrown away lightly."""
_HURRY_S = 5.0
USER_AGENT = f"axonlab-runner/{__version__}"
Check = Callable[[], None]
"""Called between two files; raises when the run has to end."""


class Run(Protocol):
    """One attempt at a job, as the lifecycle sees it."""

    @property
    def claim(self) -> Claim:
        """What was claimed."""
        ...

    def heartbeat(self, wait_s: float) -> HeartbeatAnswer:
        """Say that we are alive; answered after `wait_s` or as soon as the job is to stop."""
        ...

    def hurry(self) -> None:
        """There is no time left to wait for anybody: from now on give up soon."""
        ...

    def fetch_inputs(self, inputs: Path, checkpoints: Path, check: Check) -> list[FileBlob]:
        """The files that were put into `inputs`; the newest checkpoint, if any, goes into `checkpoints`."""
        ...

    def send_events(self, first: int, events: Sequence[RunnerEvent]) -> None:
        """Hand in events; `first` is the number of the first one within the run."""
        ...

    def save_checkpoint(self, path: Path, file: FileBlob) -> None:
        """Keep a checkpoint for whoever has to go on."""
        ...

    def save_results(self, results: Path, files: Sequence[FileBlob], check: Check) -> None:
        """Keep files of the result bundle."""
        ...

    def complete(self, files: Sequence[FileBlob]) -> None:
        """The bundle is whole."""
        ...

    def fail(self, reason: Reason, message: str, files: Sequence[FileBlob]) -> None:
        """There will be no result."""
        ...

    def release(self, message: str) -> None:
        """Give the job back."""
        ...


class ServiceRun:
    """A run that was claimed from the service; every call carries its own token."""

    def __init__(self, url: str, claim: Claim) -> None:
        self.claim = claim
        self._session = ServiceSession(url, claim.token, patience_s=_OUTAGE_S, user_agent=USER_AGENT)
        self._path = f"runs/{claim.job_id}/{claim.attempt}"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def heartbeat(self, wait_s: float) -> HeartbeatAnswer:
        """Say that we are alive."""
        return self._session.call(
            "POST",
            f"{self._path}/heartbeat",
            HeartbeatAnswer,
            body=HeartbeatRequest(wait_s=wait_s),
            wait_s=wait_s,
            # An answer that the network swallowed must not cost the lease.
            timeout_s=self.claim.lease_s / 3,
            patience_s=0,
        )

    def hurry(self) -> None:
        """Give up soon from now on."""
        self._session.patience_s = _HURRY_S

    def fetch_inputs(self, inputs: Path, checkpoints: Path, check: Check) -> list[FileBlob]:
        """Everything the job needs, by tickets; those that end meanwhile are asked for again."""
        while True:
            answer = self._session.call("GET", f"{self._path}/inputs", InputsAnswer)
            wanted = [(entry, inputs / entry.file.path) for entry in answer.files]
            if answer.checkpoint is not None:
                wanted.append((answer.checkpoint, checkpoints / Path(answer.checkpoint.file.path).name))
            todo = [(entry, target) for entry, target in wanted if not target.is_file()]
            try:
                for entry, target in todo:
                    check()
                    download(self._session, entry.ticket, entry.file, target)
            except NotAllowed:
                if not todo[0][1].is_file():  # not even one with a new ticket
                    raise
                continue
            return [entry.file for entry in answer.files]

    def send_events(self, first: int, events: Sequence[RunnerEvent]) -> None:
        """Hand in events."""
        self._session.call(
            "POST", f"{self._path}/events", Accepted, body=EventsRequest(first=first, events=tuple(events))
        )

    def save_checkpoint(self, path: Path, file: FileBlob) -> None:
        """Upload a checkpoint."""
        self._upload([(file, path)], lambda: None, checkpoint=True)

    def save_results(self, results: Path, files: Sequence[FileBlob], check: Check) -> None:
        """Upload files of the bundle."""
        self._upload([(file, results / file.path) for file in files], check, checkpoint=False)

    def _upload(self, items: Sequence[tuple[FileBlob, Path]], check: Check, *, checkpoint: bool) -> None:
        def ask(files: Sequence[FileBlob]) -> Sequence[Ticket | None]:
            request = OutputsRequest(files=tuple(files), checkpoint=checkpoint)
            return self._session.call("POST", f"{self._path}/outputs", OutputsAnswer, body=request).tickets

        upload_all(self._session, items, ask, check=check)

    def complete(self, files: Sequence[FileBlob]) -> None:
        """The bundle is whole."""
        self._session.call("POST", f"{self._path}/complete", Job, body=CompleteRequest(files=tuple(files)))

    def fail(self, reason: Reason, message: str, files: Sequence[FileBlob]) -> None:
        """There will be no result."""
        body = FailRequest(reason=reason, message=message[:4000], files=tuple(files))
        self._session.call("POST", f"{self._path}/fail", Job, body=body)

    def release(self, message: str) -> None:
        """Give the job back; there is little time to do so."""
        self._session.call(
            "POST", f"{self._path}/release", Job, body=ReleaseRequest(message=message[:1000]), patience_s=10
        )


class ServiceSource:
    """The service as a source of runs."""

    def __init__(self, url: str, token: str, *, patience_s: float) -> None:
        self._url = url
        self._session = ServiceSession(url, token, patience_s=patience_s, user_agent=USER_AGENT)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def next_job(self, machine: Capabilities, *, wait_s: float) -> str | None:
        """Id of a job that this machine could take; None if none turned up within `wait_s`."""
        answer = self._session.call(
            "POST", "runner/next", NextAnswer, body=NextRequest(capabilities=machine, wait_s=wait_s), wait_s=wait_s
        )
        return answer.job_id

    def claim(self, job_id: str, machine: Capabilities) -> ServiceRun | None:
        """The run, if the job is now ours; None if somebody else was quicker or it is gone."""
        try:
            claim = self._session.call(
                "POST", f"runner/jobs/{job_id}/claim", Claim, body=ClaimRequest(capabilities=machine), patience_s=0
            )
        except (Conflict, NotFound):
            return None
        return ServiceRun(self._url, claim)
