"""The card of a model in storage, from the file's first bytes alone."""

from __future__ import annotations

import json
import struct

from pydantic import ValidationError

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import CARD_KEY, ModelCard

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 4 * 2**20


def read_card(storage: Storage, key: str) -> ModelCard:
    """The card in the header of a SafeTensors file (eight bytes of length, JSON of that length, tensors).

    Raises
    ------
    BadInput
        If it is no such file, or one without a card of ours.
    """
    start = storage.read_part(key, offset=0, size_bytes=_LENGTH_BYTES)
    length = struct.unpack("<Q", start)[0] if len(start) == _LENGTH_BYTES else 0
    if not 0 < length <= _MAX_HEADER_BYTES:
        raise _foreign("its header has no sensible length")
    try:
        header = json.loads(storage.read_part(key, offset=_LENGTH_BYTES, size_bytes=length))
    except (ValueError, RecursionError) as error:
        raise _foreign("its header is no JSON") from error
    match header:
        case {"__metadata__": {**metadata}} if isinstance(text := metadata.get(CARD_KEY), str):
            try:
                return ModelCard.read_answer(text)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise _foreign(f"its model card cannot be read ({where}: {first['msg']})") from error
    raise _foreign("it carries no model card")


def _foreign(why: str) -> BadInput:
    return BadInput(
        f"The file is not a model of Axonlab: {why}.",
        remedy="Use the model.safetensors of a training's result, downloaded completely.",
    )
