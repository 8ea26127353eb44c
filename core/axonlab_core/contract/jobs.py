"""A job: what somebody asked for."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from axonlab_core.contract.base import CourseName, Identifier, Sha256, UtcTime, Value
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.parameters import Parameters
from axonlab_core.contract.states import JobState, Reason
from axonlab_core.contract.tickets import FileBlob

MAX_MINUTES = 24 * 60
MAX_STEPS = 1_000_000
START_UP_S = 600
"""What a run may spend on everything but the work itself: inputs, start of the kernel, upload."""

MODEL_FILE = "model.safetensors"
BASE_FILE = "base.safetensors"
"""Among the inputs of a run: the model to segment with, and the one to begin a training with."""

INFER_LEAST_MINUTES = 60.0
INFER_S_PER_MEGAPIXEL = 20.0
"""Of the images at the model's pixel size; one core of a CPU needs about 4."""


class JobModel(Value):
    """The model that one of the owner's own jobs trained."""

    source: Literal["job"] = "job"
    job_id: Identifier


class UploadedModel(Value):
    """A SafeTensors file that the owner uploaded."""

    source: Literal["upload"] = "upload"
    sha256: Sha256


class PublishedModel(Value):
    """A model that staff published for a course."""

    source: Literal["published"] = "published"
    course: CourseName
    sha256: Sha256


ModelSource = Annotated[JobModel | UploadedModel | PublishedModel, Field(discriminator="source")]


class Spec(Value):
    """What every kind of job has."""

    name: str = Field(default="", max_length=100)
    """For people: how the job is called in lists."""
    course: CourseName | None = None
    """None: the owner's only course, where they are in exactly one."""
    assignment: Annotated[str, StringConstraints(max_length=100)] | None = None
    dataset: Sha256
    """Hash of the data set's manifest. It and its blobs are looked for among the owner's, then the course's."""
    parameters: Parameters = Field(default_factory=dict)
    """Further parameters of the job notebook, by name; those it does not declare are refused."""
    wall_clock_minutes: float | None = Field(default=None, gt=0, le=2 * MAX_MINUTES)
    """Limit for the whole run; None gives the kind's own."""

    @property
    def input_model(self) -> tuple[ModelSource, str] | None:
        """The model that it needs, and how the file is called among the run's inputs."""
        return None


class TrainSpec(Spec):
    """Train a model on the labelled pixels of a data set, for a time or for a number of steps."""

    kind: Literal[Kind.train] = Kind.train
    preset: Literal["tiny", "standard"] = "tiny"
    minutes: float | None = Field(default=None, gt=0, le=MAX_MINUTES)
    steps: int | None = Field(default=None, gt=0, le=MAX_STEPS)
    seed: int = Field(default=0, ge=0, lt=2**31)
    base: ModelSource | None = None
    """The model to begin with; None begins with random weights."""

    @property
    def input_model(self) -> tuple[ModelSource, str] | None:
        """The model to begin with."""
        return None if self.base is None else (self.base, BASE_FILE)

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if (self.minutes is None) == (self.steps is None):
            msg = "give either minutes or steps: how long the training may take"
            raise ValueError(msg)
        return self

    @property
    def wall_clock_s(self) -> float:
        """Limit for the whole run, in seconds."""
        if self.wall_clock_minutes is not None:
            return self.wall_clock_minutes * 60
        # A CPU needs up to about 5 s for a step at the largest batch; the budget proper is kept by the training.
        work_s = self.minutes * 60 * 1.5 if self.minutes is not None else 5.0 * (self.steps or 0)
        return START_UP_S + work_s


class InferSpec(Spec):
    """Segment the images of a data set with a model; where they have labels, measure the result."""

    kind: Literal[Kind.infer] = Kind.infer
    model: ModelSource

    @property
    def input_model(self) -> tuple[ModelSource, str] | None:
        """The model to segment with."""
        return self.model, MODEL_FILE

    @property
    def wall_clock_s(self) -> float:
        """Limit for the whole run, in seconds."""
        return (self.wall_clock_minutes or INFER_LEAST_MINUTES) * 60


def infer_minutes(model_px: float) -> float:
    """Limit for a segmentation if none is given: for images of `model_px` pixels at the model's pixel size in all."""
    minutes = math.ceil((START_UP_S + model_px / 1e6 * INFER_S_PER_MEGAPIXEL) / 60)
    return float(min(max(INFER_LEAST_MINUTES, minutes), 2 * MAX_MINUTES))


JobSpec = Annotated[TrainSpec | InferSpec, Field(discriminator="kind")]
"""What a job is to do. `PrepareSpec` and `GradeSpec` join this union."""

job_spec = TypeAdapter[JobSpec](JobSpec)


IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")]
"""Chosen by the caller: a call that is repeated with it changes nothing and is answered the same."""


class SubmitRequest(Value):
    """Ask for a job. The same idempotency key gives the same job again."""

    spec: JobSpec
    idempotency_key: IdempotencyKey | None = None


class ResubmitRequest(Value):
    """Ask for a job that is over once more, as a new job."""

    idempotency_key: IdempotencyKey | None = None


class Job(Value):
    """A job as its owner sees it."""

    id: Identifier
    owner: str
    spec: JobSpec
    state: JobState
    reason: Reason | None = None
    message: str = ""
    attempt: int = 0
    """Number of the current or last run; 0 before the first."""
    cancel_requested: bool = False
    queue_position: int | None = None
    """1 is next; None unless queued."""
    expected_start_s: float | None = None
    """In how many seconds it may start, judged by recent runs and the runners seen lately; None: nobody can say."""
    resubmitted_from: Identifier | None = None
    """The job of which this is a repetition."""
    created_at: UtcTime
    started_at: UtcTime | None = None
    finished_at: UtcTime | None = None

    @property
    def kind(self) -> Kind:
        """What it does."""
        return self.spec.kind

    @property
    def course(self) -> str | None:
        """The course that it belongs to."""
        return self.spec.course

    @property
    def assignment(self) -> str | None:
        """The assignment that it belongs to."""
        return self.spec.assignment


class ArtifactsAnswer(Value):
    """The files of a job's result bundle."""

    files: tuple[FileBlob, ...]
