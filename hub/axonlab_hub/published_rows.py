"""What can be asked of, and done to, the rows about what staff published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from axonlab_core.contract.tickets import Blob
from axonlab_hub.tables import PublishedBlobRow, PublishedImagesRow, PublishedModelRow

Item = TypeVar("Item", PublishedModelRow, PublishedImagesRow)


class PublishedRows:
    """The part of `Rows` about published things."""

    _session: Session

    def published(self, table: type[Item], courses: Collection[str]) -> Sequence[Item]:
        """The models, or the data sets, of these courses, by name."""
        query = select(table).where(table.course.in_(courses)).order_by(table.course, table.name, table.sha256)
        return self._session.scalars(query).all()

    def published_item(
        self, table: type[PublishedModelRow | PublishedImagesRow], course: str, sha256: str
    ) -> PublishedModelRow | PublishedImagesRow | None:
        """One model, or one data set, of a course."""
        return self._session.get(table, (course, sha256))

    def publish(self, item: PublishedModelRow | PublishedImagesRow, blobs: Iterable[Blob]) -> None:
        """Offer the item and its blobs."""
        self._session.merge(item)
        self._forget_blobs(item)
        self._session.add_all(
            PublishedBlobRow(course=item.course, item=item.sha256, sha256=blob.sha256, size_bytes=blob.size_bytes)
            for blob in blobs
        )
        self._session.flush()

    def unpublish(self, item: PublishedModelRow | PublishedImagesRow) -> None:
        """Offer the item and its blobs no longer; a blob that belongs to another item too stays."""
        self._forget_blobs(item)
        self._session.delete(item)
        self._session.flush()

    def offered(self, course: str) -> dict[str, int]:
        """Size of every blob that the course offers, by its hash."""
        query = select(PublishedBlobRow.sha256, PublishedBlobRow.size_bytes).where(PublishedBlobRow.course == course)
        return {row.sha256: row.size_bytes for row in self._session.execute(query)}

    def offered_blob(self, course: str, sha256: str) -> Blob | None:
        """The blob, if the course offers it."""
        query = select(PublishedBlobRow.size_bytes).where(
            PublishedBlobRow.course == course, PublishedBlobRow.sha256 == sha256
        )
        size = self._session.scalar(query.limit(1))
        return None if size is None else Blob(sha256=sha256, size_bytes=size)

    def _forget_blobs(self, item: PublishedModelRow | PublishedImagesRow) -> None:
        which = (PublishedBlobRow.course == item.course, PublishedBlobRow.item == item.sha256)
        self._session.execute(delete(PublishedBlobRow).where(*which))
