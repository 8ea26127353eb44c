"""A run: one attempt at a job, as runner and service speak of it."""

from __future__ import annotations

from pydantic import Field

from axonlab_core.contract.base import Identifier, UtcTime, Value
from axonlab_core.contract.jobs import JobSpec
from axonlab_core.contract.kinds import Capabilities, Kind
from axonlab_core.contract.states import Reason
from axonlab_core.contract.tickets import FileBlob, FileTicket, Ticket


class NextRequest(Value):
    """A runner asks whether there is anything for it; answered at once if so, else within `wait_s`."""

    capabilities: Capabilities
    wait_s: float = Field(default=0, ge=0, le=60)


class NextAnswer(Value):
    """The job to claim, or nothing."""

    job_id: Identifier | None = None
    kind: Kind | None = None


class ClaimRequest(Value):
    """A runner wants this job."""

    capabilities: Capabilities


class Claim(Value):
    """The job is this runner's: one attempt, its token, and how long the claim holds without a heartbeat."""

    job_id: Identifier
    attempt: int = Field(ge=1)
    token: str = Field(repr=False)
    """Opens this run's calls and nothing else; only its hash is kept by the service."""
    lease_s: float = Field(gt=0)
    heartbeat_s: float = Field(gt=0)
    owner: str
    spec: JobSpec
    wall_clock_s: float = Field(gt=0)
    """Limit for the whole run, in seconds from the claim."""


class HeartbeatRequest(Value):
    """I am alive. Renews the lease at once; answered after `wait_s`, or as soon as there is something to say."""

    wait_s: float = Field(default=0, ge=0, le=60)


class HeartbeatAnswer(Value):
    """Until when the claim holds, and whether the run is to stop."""

    lease_expires_at: UtcTime
    cancel: bool = False


class InputsAnswer(Value):
    """Everything a run needs: `dataset.json`, `blobs/<sha256>`, `model.safetensors`, and the newest checkpoint."""

    files: tuple[FileTicket, ...]
    checkpoint: FileTicket | None = None


class OutputsRequest(Value):
    """Files that a run is about to upload into its bundle (`results`) or as a checkpoint."""

    files: tuple[FileBlob, ...] = Field(min_length=1, max_length=1000)
    checkpoint: bool = False


class OutputsAnswer(Value):
    """For each file, in order: a ticket, or nothing where it is there already."""

    tickets: tuple[Ticket | None, ...]


class CompleteRequest(Value):
    """The work is done and everything in `files` has been uploaded. Accepted once."""

    files: tuple[FileBlob, ...] = Field(min_length=1, max_length=20_000)


class FailRequest(Value):
    """The run ended without a result. What was uploaded (report, log) is kept for the owner."""

    reason: Reason
    message: str = Field(max_length=4000)
    files: tuple[FileBlob, ...] = Field(default=(), max_length=20_000)


class ReleaseRequest(Value):
    """The run gives the job back (shutdown, eviction): it costs no attempt."""

    message: str = Field(default="", max_length=1000)


class Accepted(Value):
    """Taken note of."""
