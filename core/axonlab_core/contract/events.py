"""What happens in a run, in order: the one stream that card, command line and page read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from axonlab_core.contract.base import Sha256, UtcTime, Value
from axonlab_core.contract.states import JobState, Reason

EVENT_MIME = "application/vnd.axonlab.event+json"
"""Private MIME type: a job notebook *displays* its progress, the runner sees it and passes it on."""


class StateEvent(Value):
    """The job changed its state. Written by the service only."""

    type: Literal["state"] = "state"
    state: JobState
    reason: Reason | None = None
    message: str = ""


class StepEvent(Value):
    """A step of the runner's lifecycle began or ended."""

    type: Literal["step"] = "step"
    name: str
    status: Literal["started", "done", "failed"]
    duration_s: float | None = None
    message: str = ""


class ProgressEvent(Value):
    """How far the work is."""

    type: Literal["progress"] = "progress"
    done: int = Field(ge=0)
    total: int = Field(ge=0)
    unit: str = Field(default="steps", max_length=40)
    message: str = Field(default="", max_length=2000)
    remaining_s: float | None = None


class MetricEvent(Value):
    """Numbers at a training step, e.g. `{"loss": 0.31, "val_dice_axon": 0.86}`."""

    type: Literal["metric"] = "metric"
    step: int = Field(ge=0)
    values: dict[str, float] = Field(max_length=200)


class LogEvent(Value):
    """Lines of text, as printed."""

    type: Literal["log"] = "log"
    stream: Literal["stdout", "stderr", "runner"]
    text: str = Field(max_length=20_000)


class WarningEvent(Value):
    """Something the person should know, in plain words."""

    type: Literal["warning"] = "warning"
    message: str = Field(max_length=2000)


class CheckpointEvent(Value):
    """A checkpoint exists: in the notebook a file name, once uploaded a hash."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int = Field(ge=0)
    file: str = Field(default="", max_length=200)
    sha256: Sha256 | None = None
    size_bytes: int | None = None


NotebookEvent = Annotated[ProgressEvent | MetricEvent | WarningEvent | CheckpointEvent, Field(discriminator="type")]
"""What a job notebook may say."""

RunnerEvent = Annotated[
    StepEvent | ProgressEvent | MetricEvent | LogEvent | WarningEvent | CheckpointEvent, Field(discriminator="type")
]
"""What a runner may say about its run."""

EventBody = Annotated[
    StateEvent | StepEvent | ProgressEvent | MetricEvent | LogEvent | WarningEvent | CheckpointEvent,
    Field(discriminator="type"),
]

notebook_event = TypeAdapter[NotebookEvent](NotebookEvent)


class Event(Value):
    """One entry of a job's stream; `n` counts from 1 without gaps within a job."""

    n: int = Field(ge=1)
    at: UtcTime
    attempt: int = Field(ge=0)
    body: EventBody


class EventsAnswer(Value):
    """The events after the one asked for; ask again with `after=next_after`."""

    events: tuple[Event, ...]
    next_after: int
    state: JobState

    @classmethod
    def read_answer(cls, text: str | bytes) -> EventsAnswer:
        """As every answer, and events of a type that this version does not know are left out."""
        raw: dict[str, Any] = _json_object.validate_json(text)
        known: list[Event] = []
        for entry in raw.get("events", []):
            try:
                known.append(Event.model_validate(entry, extra="ignore"))
            except ValidationError as error:
                if any(problem["type"] == "union_tag_invalid" for problem in error.errors()):
                    continue
                raise
        return cls(events=tuple(known), next_after=raw["next_after"], state=JobState(raw["state"]))


_json_object = TypeAdapter[dict[str, Any]](dict[str, Any])


class EventsRequest(Value):
    """Events that a runner hands in; `first` numbers them within the run, so a repeated call changes nothing."""

    first: int = Field(ge=0)
    events: tuple[RunnerEvent, ...] = Field(min_length=1, max_length=500)
