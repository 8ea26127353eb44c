"""Checkpoints: a training saved whole, so that it can go on exactly where it was.

A checkpoint is a SafeTensors file; nothing in it can run. It appears under its name only when it is
complete on disk, and the two newest are kept.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_META_KEY = "axonlab.checkpoint"
_FORMAT = 1
_KEPT = 2
_NAME = re.compile(r"^checkpoint-(\d{8})\.safetensors$")


class Checkpoint(NamedTuple):
    """What a file holds: tensors by key, and everything else."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """The file that now holds `checkpoint`; all but the two newest of the folder are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"checkpoint-{step:08d}.safetensors"
    beside = path.with_name(f"{path.name}.part")
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in checkpoint.tensors.items()}
    save_file(tensors, beside, metadata={_META_KEY: json.dumps({"format": _FORMAT, **checkpoint.meta})})
    _to_disk(beside)
    os.replace(beside, path)  # noqa: PTH105 (Path.replace says the same)
    _to_disk(folder)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_newest(folder: Path, *, spec_sha256: str, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint in `folder` that is whole and belongs to this job; None if there is none.

    What is passed over, and why, is said through `warn`.
    """
    for path in _newest_first(folder):
        try:
            with safe_open(path, framework="pt") as file:
                meta = json.loads((file.metadata() or {})[_META_KEY])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            warn(f"The checkpoint {path.name} cannot be read ({error!r}) and is passed over.")
            continue
        if meta.get("format") != _FORMAT or meta.get("spec_sha256") != spec_sha256:
            warn(f"The checkpoint {path.name} belongs to another training and is passed over.")
            continue
        return Checkpoint(tensors, meta)
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else []
    return sorted((path for path in found if _NAME.fullmatch(path.name)), reverse=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
