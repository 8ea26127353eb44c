"""The header of a SafeTensors file, read and checked without torch.

The format is eight bytes with the header's length (little endian), the header as JSON, then the tensors'
bytes. Checked here is what a reader relies on: names, types, shapes, and that the tensors fill the rest of
the file without gap or overlap. The student's library and the runner ask this of every file before anything
else touches it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import CARD_KEY, ModelCard
from axonlab_core.contract.plain_words import in_plain_words

MAX_HEADER_BYTES = 4 * 2**20
START_BYTES = 8 + MAX_HEADER_BYTES
"""So much of a file holds any header that is read."""
_METADATA_KEY = "__metadata__"
_LENGTH_BYTES = 8
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
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
            return check_header(path.name, file.read(START_BYTES), path.stat().st_size)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read ({error.strerror}).", remedy="Check the file's path.") from error


def check_header(name: str, start: bytes, size: int) -> ModelHeader:
    """The header of a SafeTensors file of `size` bytes that begins with `start`, its first `START_BYTES`.

    Raises
    ------
    BadInput
        If the file is not what its header says.
    """
    length = int.from_bytes(start[:_LENGTH_BYTES], "little") if len(start) >= _LENGTH_BYTES else 0
    _check_length(name, start, length, size)
    try:
        header = json.loads(start[_LENGTH_BYTES : _LENGTH_BYTES + length].decode())
    except UnicodeDecodeError as error:
        raise _foreign(name, "its header is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise _foreign(name, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _foreign(name, "its header is not a JSON object")
    metadata = header.pop(_METADATA_KEY, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _foreign(name, "its metadata are not text by name")
    tensors = {tensor: _entry(name, tensor, entry) for tensor, entry in header.items()}
    _check_filled(name, tensors, size - _LENGTH_BYTES - length)
    return ModelHeader(tensors, metadata)


def read_card(path: Path) -> ModelCard:
    """The card of a model file, from its checked header alone.

    Raises
    ------
    BadInput
        If it is no SafeTensors file, or one without a card of ours.
    """
    return check_card(path.name, read_header(path))


def check_card(name: str, header: ModelHeader) -> ModelCard:
    """The card in a header.

    Raises
    ------
    BadInput
        If there is none of ours.
    """
    text = header.metadata.get(CARD_KEY)
    if text is None:
        raise _foreign(name, "it carries no model card")
    try:
        return ModelCard.read_answer(text)
    except ValidationError as error:
        why = in_plain_words(error.errors()).removesuffix(".")
        raise _foreign(name, f"its model card cannot be read ({why})") from error


def _check_length(name: str, start: bytes, length: int, size: int) -> None:
    """Return if a header of that length can be, in a file of that size."""
    if not start:
        raise _foreign(name, "it is empty (0 bytes)")
    if length > MAX_HEADER_BYTES and start.startswith(_PICKLES):
        raise _foreign(name, "it is a Python pickle or a PyTorch archive, which may run code when it is opened")
    if length > size - _LENGTH_BYTES:
        raise _foreign(name, f"its header would be {length:,} bytes long, and the file has {size:,} in all")
    if not 2 <= length <= MAX_HEADER_BYTES:  # noqa: PLR2004 (the shortest is {})
        raise _foreign(name, f"its header would be {length:,} bytes long; at most {MAX_HEADER_BYTES:,} are read")


def _entry(name: str, tensor: str, entry: Any) -> TensorEntry:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
            whole = all(isinstance(edge, int) and not isinstance(edge, bool) and edge >= 0 for edge in shape)
            if whole and dtype in _ITEM_BYTES and end - begin == math.prod(shape) * _ITEM_BYTES[dtype]:
                return TensorEntry(dtype, tuple(shape), begin, end)
    raise _foreign(name, f"type, shape and length of its tensor {tensor[:60]!r} do not agree")


def _check_filled(name: str, tensors: dict[str, TensorEntry], data_bytes: int) -> None:
    position = 0
    for entry in sorted(tensors.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            raise _foreign(name, f"its tensors {'overlap' if entry.begin < position else 'leave a gap'}")
        position = entry.end
    if position != data_bytes:
        raise _foreign(name, f"its tensors take {position:,} bytes, and the file has {data_bytes:,} for them")


def _foreign(name: str, why: str) -> BadInput:
    return BadInput(
        f"{name} is not a model of Axonlab: {why}.",
        remedy="Use the model.safetensors of a training's result, downloaded completely.",
    )
