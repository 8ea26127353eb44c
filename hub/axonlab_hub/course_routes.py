"""What people call about courses: what may be asked for, which models there are; and for staff, to publish."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response, status

from axonlab_core.contract.base import CourseName, Sha256
from axonlab_core.contract.models import (
    ModelsAnswer,
    PublishedImagesAnswer,
    PublishedImagesEntry,
    PublishedModelEntry,
    PublishImagesRequest,
    PublishModelRequest,
)
from axonlab_core.contract.options import OptionsAnswer
from axonlab_core.contract.runs import Accepted
from axonlab_core.contract.tickets import Ticket
from axonlab_hub.auth import Person, student, teacher
from axonlab_hub.documentation import errors, known
from axonlab_hub.listing import list_models
from axonlab_hub.options import options_for
from axonlab_hub.parts import Parts, parts_of
from axonlab_hub.tables import PublishedImagesRow, PublishedModelRow

router = APIRouter(tags=["courses"], responses=errors())
Student = Annotated[Person, Depends(student)]
Teacher = Annotated[Person, Depends(teacher)]
House = Annotated[Parts, Depends(parts_of)]
Course = Annotated[CourseName, Path()]
Hash = Annotated[Sha256, Path()]


@router.get("/options")
def options(person: Student, parts: House) -> OptionsAnswer:
    """What may be asked for here, and what is there to carry it out."""
    with parts.store.read() as rows:
        return options_for(rows, person, parts.settings, parts.clock())


@router.get("/models")
def models(person: Student, parts: House, course: Annotated[CourseName | None, Query()] = None) -> ModelsAnswer:
    """One's own models and the published ones of one's courses, or of one course."""
    with parts.store.read() as rows:
        return list_models(rows, person, course)


@router.get("/courses/{course}/images")
def images(person: Student, parts: House, course: Course) -> PublishedImagesAnswer:
    """The data sets that the course offers."""
    return parts.publishing.images(person, course)


@router.get("/courses/{course}/blobs/{sha256}/ticket", responses=errors(404))
def ticket(person: Student, parts: House, course: Course, sha256: Hash) -> Ticket:
    """Permission to download one blob that the course offers: a manifest, an image, labels, a model."""
    return parts.publishing.ticket(person, course, sha256)


@router.post(
    "/courses/{course}/models",
    status_code=status.HTTP_201_CREATED,
    responses=known(PublishedModelEntry) | errors(404, 409),
)
def publish_model(
    person: Teacher, parts: House, course: Course, asked: PublishModelRequest, response: Response
) -> PublishedModelEntry:
    """The model, published for the course; with status 200 if it was already."""
    entry, new = parts.publishing.publish_model(person, course, asked)
    if not new:
        response.status_code = status.HTTP_200_OK
    return entry


@router.delete("/courses/{course}/models/{sha256}", responses=errors(404))
def unpublish_model(person: Teacher, parts: House, course: Course, sha256: Hash) -> Accepted:
    """Offer the model no longer; jobs that were admitted keep it."""
    parts.publishing.unpublish(person, course, sha256, PublishedModelRow)
    return Accepted()


@router.post(
    "/courses/{course}/images",
    status_code=status.HTTP_201_CREATED,
    responses=known(PublishedImagesEntry) | errors(404, 409),
)
def publish_images(
    person: Teacher, parts: House, course: Course, asked: PublishImagesRequest, response: Response
) -> PublishedImagesEntry:
    """The data set, published for the course; with status 200 if it was already."""
    entry, new = parts.publishing.publish_images(person, course, asked)
    if not new:
        response.status_code = status.HTTP_200_OK
    return entry


@router.delete("/courses/{course}/images/{sha256}", responses=errors(404))
def unpublish_images(person: Teacher, parts: House, course: Course, sha256: Hash) -> Accepted:
    """Offer the data set no longer; jobs that were admitted keep it."""
    parts.publishing.unpublish(person, course, sha256, PublishedImagesRow)
    return Accepted()
