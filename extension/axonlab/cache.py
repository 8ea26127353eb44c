"""Blobs on this machine, by their hash: what was built here and what was fetched, each once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from axonlab_core.backends.transfer import describe
from axonlab_core.contract.errors import PlatformError
from axonlab_core.contract.tickets import Blob


class BlobCache:
    """A folder of blobs. Losing it costs time and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Where the blob with that hash is, or would be."""
        return self.root / "blobs" / sha256[:2] / sha256

    def has(self, blob: Blob) -> bool:
        """Whether the blob is here, unharmed."""
        path = self.path(blob.sha256)
        return path.is_file() and describe(path) == Blob(sha256=blob.sha256, size_bytes=blob.size_bytes)

    def add(self, data: bytes) -> Blob:
        """The blob of these bytes, which is in the cache from now on.

        Raises
        ------
        PlatformError
            If the disk does not take it.
        """
        blob = Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        if self.has(blob):
            return blob
        path = self.path(blob.sha256)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".add-")
            beside = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise PlatformError(
                f"The cache {self.root} cannot be written to ({error.strerror}).",
                remedy="Free some space, or set AXONLAB_CACHE_DIR to a folder on another disk.",
            ) from error
        return blob

    def drop(self, sha256: str) -> None:
        """Forget a blob."""
        self.path(sha256).unlink(missing_ok=True)
