"""A run's workspace as the runner lays it out, for trainings without one; shared by tests and benchmarks."""

import hashlib

from axonlab_core.contract.dataset import DatasetImage, DatasetManifest
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.contract.tickets import Blob
from axonlab_core.imaging.canonical import encode


def lay_out(root, images, palette=AXON_PALETTE):
    """The folder `root` with a data set of `(pixels, labels or None, further fields of DatasetImage)` by name."""
    blobs = root / "inputs" / "blobs"
    blobs.mkdir(parents=True)

    def put(pixels):
        data = encode(pixels)
        sha256 = hashlib.sha256(data).hexdigest()
        (blobs / sha256).write_bytes(data)
        return Blob(sha256=sha256, size_bytes=len(data))

    entries = tuple(
        DatasetImage(
            name=name,
            image=put(pixels),
            labels=None if labels is None else put(labels),
            width_px=pixels.shape[1],
            height_px=pixels.shape[0],
            channels=1 if pixels.ndim == 2 else 3,
            dtype=pixels.dtype.name,
            **fields,
        )
        for name, (pixels, labels, fields) in images.items()
    )
    manifest = DatasetManifest(palette=palette, images=entries)
    (root / "inputs" / "dataset.json").write_bytes(manifest.canonical_json())
    return root
