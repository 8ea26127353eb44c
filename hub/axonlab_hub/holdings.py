"""Which blobs a job may name: its owner's own, then those of its course."""

from __future__ import annotations

from collections.abc import Callable

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.keys import blob_key, course_namespace, user_namespace
from axonlab_hub.store import Store


class Holdings:
    """The blobs of one owner and of one course."""

    def __init__(
        self, storage: Storage, owner: str, course: str | None, *, offers: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.storage = storage
        self._own = user_namespace(owner)
        self._of_course = None if course is None else course_namespace(course)
        self._offers = offers

    def find(self, sha256: str) -> tuple[str, int] | None:
        """Storage key and size of the blob, None if neither has it."""
        key = blob_key(self._own, sha256)
        if (size := self.storage.size_bytes(key)) is not None:
            return key, size
        if self._of_course is None:
            return None
        key = blob_key(self._of_course, sha256)
        size = self.storage.size_bytes(key)
        return (key, size) if size is not None and self._offers(sha256) else None


def holdings_for_admission(store: Store, storage: Storage, owner: str, course: str | None) -> Holdings:
    """The owner's blobs, and what the course offers now.

    A job that was admitted keeps what it named, so its inputs are looked up without asking what is offered.
    """
    offered: dict[str, int] | None = None

    def offers(sha256: str) -> bool:
        nonlocal offered
        if offered is None and course is not None:
            with store.read() as rows:
                offered = rows.offered(course)
        return sha256 in (offered or {})

    return Holdings(storage, owner, course, offers=offers)
