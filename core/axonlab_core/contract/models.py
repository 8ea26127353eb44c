"""Models that one may segment with: those that one trained, and those that staff published for a course."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from axonlab_core.contract.base import CourseName, Identifier, Sha256, UtcTime, Value
from axonlab_core.contract.jobs import JobModel, PublishedModel, UploadedModel
from axonlab_core.contract.model_card import ClassScores, ModelCard
from axonlab_core.contract.tickets import Blob

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
"""How something published is called in lists."""
Note = Annotated[str, StringConstraints(max_length=2000)]


class ModelSummary(Value):
    """What a list shows of a model's card."""

    preset: str
    classes: tuple[str, ...]
    channels: int
    pixel_size_um: float | None = None
    scope: str
    """How far the validation was from the training: `other-group`, `other-image` or `same-image`."""
    scores: dict[str, ClassScores]
    """Validation scores by class."""
    steps: int
    trained_at: UtcTime

    @classmethod
    def of(cls, card: ModelCard) -> ModelSummary:
        """The summary of a card."""
        return cls(
            preset=card.preset,
            classes=card.palette.names,
            channels=card.input.channels,
            pixel_size_um=card.input.pixel_size_um,
            scope=card.scores.scope,
            scores=card.scores.model,
            steps=card.training.steps,
            trained_at=card.created_at,
        )


class TrainedModelEntry(Value):
    """A model that one of your own jobs trained."""

    job_id: Identifier
    name: str = ""
    """The job's."""
    course: CourseName | None = None
    assignment: str | None = None
    model: Blob
    summary: ModelSummary | None = None
    """None where the file carries no card that the service can read."""
    finished_at: UtcTime

    @property
    def source(self) -> JobModel:
        """How a job names it."""
        return JobModel(job_id=self.job_id)


class PublishedModelEntry(Value):
    """A base model of a course."""

    course: CourseName
    name: str
    note: str = ""
    model: Blob
    summary: ModelSummary
    published_by: str
    published_at: UtcTime

    @property
    def source(self) -> PublishedModel:
        """How a job names it."""
        return PublishedModel(course=self.course, sha256=self.model.sha256)


class ModelsAnswer(Value):
    """Your own models, newest first, and those of your courses, by name."""

    mine: tuple[TrainedModelEntry, ...]
    published: tuple[PublishedModelEntry, ...]
    more: bool = False
    """Whether you have older models than those listed; a job's id names them all the same."""


class PublishModelRequest(Value):
    """Publish a model of your own for a course. The same model again only changes name and note."""

    name: Title
    note: Note = ""
    model: Annotated[JobModel | UploadedModel, Field(discriminator="source")]


class PublishImagesRequest(Value):
    """Publish a data set that you have uploaded, with its images and labels. Again only changes name and note."""

    name: Title
    note: Note = ""
    dataset: Sha256


class PublishedImagesEntry(Value):
    """A data set of a course."""

    course: CourseName
    name: str
    note: str = ""
    dataset: Blob
    """Its manifest."""
    images: int = Field(ge=1)
    labelled: int = Field(ge=0)
    classes: tuple[str, ...]
    size_bytes: int = Field(ge=0)
    """Of all its blobs."""
    published_by: str
    published_at: UtcTime


class PublishedImagesAnswer(Value):
    """The data sets of a course, by name."""

    datasets: tuple[PublishedImagesEntry, ...]
