"""The card of a model in storage, from the file's first bytes alone."""

from __future__ import annotations

from axonlab_core.backends.model_header import MAX_HEADER_BYTES, check_card, check_header
from axonlab_core.backends.storage import Storage
from axonlab_core.contract.model_card import ModelCard

_LENGTH_BYTES = 8


def read_card(storage: Storage, key: str, *, name: str = "The file") -> ModelCard:
    """The card in the header of a SafeTensors file, which is called `name` where it is refused.

    Raises
    ------
    NotFound
        If it is not there.
    BadInput
        If it is no such file, or one without a card of ours.
    """
    size = storage.size_bytes(key) or 0
    length = int.from_bytes(storage.read_part(key, offset=0, size_bytes=_LENGTH_BYTES), "little")
    start = storage.read_part(key, offset=0, size_bytes=_LENGTH_BYTES + min(length, MAX_HEADER_BYTES))
    return check_card(name, check_header(name, start, size))
