"""What staff publish for a course: base models, and data sets with their images and labels.

Blobs are copied from the publisher's namespace, or a job's bundle, into the course's within the storage, before the
rows say that they are there. What is unpublished is offered no longer; its bytes stay for jobs that named it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import NotAllowed, NotFound
from axonlab_core.contract.keys import blob_key, course_namespace
from axonlab_core.contract.models import (
    ModelSummary,
    PublishedImagesAnswer,
    PublishedImagesEntry,
    PublishedModelEntry,
    PublishImagesRequest,
    PublishModelRequest,
)
from axonlab_core.contract.tickets import Blob, Ticket
from axonlab_hub.admission import read_manifest, require_blob, require_member
from axonlab_hub.auth import Person
from axonlab_hub.holdings import holdings_for_admission
from axonlab_hub.job_models import find_model
from axonlab_hub.model_cards import read_card
from axonlab_hub.settings import Settings
from axonlab_hub.store import Store
from axonlab_hub.tables import PublishedImagesRow, PublishedModelRow


class Publishing:
    """What courses offer. Every method blocks."""

    def __init__(self, store: Store, storage: Storage, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._storage = storage
        self._lifetime = timedelta(seconds=settings.ticket_lifetime_s)
        self._clock = clock

    def publish_model(
        self, person: Person, course: str, request: PublishModelRequest
    ) -> tuple[PublishedModelEntry, bool]:
        """The published model, and whether it is new.

        Raises
        ------
        UserError
            If it is not the person's, is not there, or is no model of ours.
        """
        require_staff(person, course)
        with self._store.read() as rows:
            key, blob = find_model(rows, self._storage, person.name, request.model)
        summary = ModelSummary.of(read_card(self._storage, key))
        self._storage.copy(key, blob_key(course_namespace(course), blob.sha256))
        row = PublishedModelRow(
            course=course,
            sha256=blob.sha256,
            name=request.name,
            note=request.note,
            size_bytes=blob.size_bytes,
            summary=summary.model_dump_json(),
            published_by=person.name,
            published_at=self._clock(),
        )
        new = self._publish(row, [blob])
        return model_entry(row), new

    def publish_images(
        self, person: Person, course: str, request: PublishImagesRequest
    ) -> tuple[PublishedImagesEntry, bool]:
        """The published data set, and whether it is new.

        Raises
        ------
        UserError
            If it or one of its blobs has not been uploaded by this person.
        """
        require_staff(person, course)
        holdings = holdings_for_admission(self._store, self._storage, person.name, course)
        manifest = read_manifest(holdings, request.dataset)
        found = holdings.find(request.dataset)
        if found is None:
            raise NotFound("The data set has just been removed.", remedy="Upload it again.")
        key, manifest_bytes = found
        dataset = Blob(sha256=request.dataset, size_bytes=manifest_bytes)
        sources = {
            blob: require_blob(holdings, blob, f"Blob {blob.sha256[:12]}… of the data set") for blob in manifest.blobs()
        }
        # The manifest comes last: where it is there, all that it lists is there.
        for blob, source in (*sources.items(), (dataset, key)):
            self._storage.copy(source, blob_key(course_namespace(course), blob.sha256))
        row = PublishedImagesRow(
            course=course,
            sha256=request.dataset,
            name=request.name,
            note=request.note,
            manifest_bytes=manifest_bytes,
            images=len(manifest.images),
            labelled=sum(image.labels is not None for image in manifest.images),
            classes=json.dumps(manifest.palette.names),
            size_bytes=manifest_bytes + sum(blob.size_bytes for blob in sources),
            published_by=person.name,
            published_at=self._clock(),
        )
        new = self._publish(row, [*sources, dataset])
        return _images_entry(row), new

    def unpublish(
        self, person: Person, course: str, sha256: str, table: type[PublishedModelRow | PublishedImagesRow]
    ) -> None:
        """Offer the model, or the data set, no longer.

        Raises
        ------
        NotFound
            If it is not offered.
        """
        require_staff(person, course)
        with self._store.write() as rows:
            item = rows.published_item(table, course, sha256)
            if item is None:
                raise _not_offered(course, sha256)
            rows.unpublish(item)

    def images(self, person: Person, course: str) -> PublishedImagesAnswer:
        """The data sets that the course offers."""
        require_member(person, course)
        with self._store.read() as rows:
            return PublishedImagesAnswer(
                datasets=tuple(_images_entry(row) for row in rows.published(PublishedImagesRow, [course]))
            )

    def ticket(self, person: Person, course: str, sha256: str) -> Ticket:
        """Permission to download one blob that the course offers.

        Raises
        ------
        NotFound
            If it offers no such blob.
        """
        require_member(person, course)
        with self._store.read() as rows:
            if rows.offered_blob(course, sha256) is None:
                raise _not_offered(course, sha256)
        key = blob_key(course_namespace(course), sha256)
        return self._storage.download_ticket(key, lifetime=self._lifetime)

    def _publish(self, row: PublishedModelRow | PublishedImagesRow, blobs: list[Blob]) -> bool:
        with self._store.write() as rows:
            before = rows.published_item(type(row), row.course, row.sha256)
            if before is not None:
                row.published_by, row.published_at = before.published_by, before.published_at
            rows.publish(row, {blob.sha256: blob for blob in blobs}.values())
        return before is None


def require_staff(person: Person, course: str) -> None:
    """Let staff of the course pass.

    Raises
    ------
    NotAllowed
        If the person is none of them.
    """
    if not person.teaches(course):
        raise NotAllowed(f"{person.name} is not staff of the course {course}.", remedy="Ask its staff to do it.")


def model_entry(row: PublishedModelRow) -> PublishedModelEntry:
    """A published model as people see it."""
    return PublishedModelEntry(
        course=row.course,
        name=row.name,
        note=row.note,
        model=Blob(sha256=row.sha256, size_bytes=row.size_bytes),
        summary=ModelSummary.model_validate_json(row.summary),
        published_by=row.published_by,
        published_at=row.published_at,
    )


def _images_entry(row: PublishedImagesRow) -> PublishedImagesEntry:
    return PublishedImagesEntry(
        course=row.course,
        name=row.name,
        note=row.note,
        dataset=Blob(sha256=row.sha256, size_bytes=row.manifest_bytes),
        images=row.images,
        labelled=row.labelled,
        classes=tuple(json.loads(row.classes)),
        size_bytes=row.size_bytes,
        published_by=row.published_by,
        published_at=row.published_at,
    )


def _not_offered(course: str, sha256: str) -> NotFound:
    return NotFound(f"The course {course} offers no {sha256[:12]}….", remedy="See what it offers.")
