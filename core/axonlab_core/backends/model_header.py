"""The header of a SafeTensors file, read and checked without torch.

The format is eight bytes with the header's length (little endian), the header as JSON, then the tensors'
bytes. Checked here is what a reader relies on: names, types, shapes, and that the tensors fill the rest of
the file without gap or overlap. The student's library and the runner ask this of every file before anything
else touches it.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import CARD_KEY, ModelCard

MAX_HEADER_BYTES = 4 * 2**20
_METADATA_KEY = "__metadata__"
_LENGTH_BYTES = 8
_ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip


class TensorEntry(NamedTuple):
    """What the header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class ModelHeader(NamedTuple):
    """A checked header."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]


def read_header(path: Path) -> ModelHeader:
    """The header of a SafeTensors file, after checking it against the file's size.

    Raises
    ------
    BadInput
        If the file cannot be read or is not what its header says.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(_LENGTH_BYTES)
            length = struct.unpack("<Q", start)[0] if len(start) == _LENGTH_BYTES else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - _LENGTH_BYTES):  # noqa: PLR2004 (the shortest is {})
                raise _foreign(path, f"its header would be {length} bytes long, and the file has {size}")
            raw = file.read(length)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read ({error.strerror}).", remedy="Check the file's path.") from error
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _foreign(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _foreign(path, "its header is no JSON object")
    metadata = header.pop(_METADATA_KEY, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _foreign(path, "its metadata are not text by name")
    tensors = {name: _entry(path, name, entry) for name, entry in header.items()}
    _check_filled(path, tensors, size - _LENGTH_BYTES - length)
    return ModelHeader(tensors, metadata)


def read_card(path: Path) -> ModelCard:
    """The card of a model file, from its checked header alone.

    Raises
    ------
    BadInput
        If it is no SafeTensors file, or one without a card of ours.
    """
    text = read_header(path).metadata.get(CARD_KEY)
    if text is None:
        raise _foreign(path, "it carries no model card")
    try:
        return ModelCard.read_answer(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _foreign(path, f"its model card cannot be read ({where}: {first['msg']})") from error


def _entry(path: Path, name: str, entry: Any) -> TensorEntry:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
            whole = all(isinstance(edge, int) and not isinstance(edge, bool) and edge >= 0 for edge in shape)
            if whole and dtype in _ITEM_BYTES and end - begin == math.prod(shape) * _ITEM_BYTES[dtype]:
                return TensorEntry(dtype, tuple(shape), begin, end)
    raise _foreign(path, f"type, shape and length of its tensor {name[:60]!r} do not agree")


def _check_filled(path: Path, tensors: dict[str, TensorEntry], data_bytes: int) -> None:
    position = 0
    for entry in sorted(tensors.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            raise _foreign(path, "its tensors overlap or leave gaps")
        position = entry.end
    if position != data_bytes:
        raise _foreign(path, f"its tensors take {position} bytes, and the file has {data_bytes} for them")


def _foreign(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{path.name} is not a model of Axonlab: {why}.",
        remedy="Use the model.safetensors of a training's result, downloaded completely.",
    )
