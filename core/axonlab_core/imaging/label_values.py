"""Which values a label file holds, and what is probably meant where they are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import UNKNOWN, Palette

_SHOWN = 6
_ROWS = 512
_VIEWER_TONES = frozenset((0, 127, 128, 255))
_UNKNOWN_16 = 65535
_INSTANCES = 8
_RINGING = 24
_MOST_TONES = 4
# Shares of the pixels: of one tone, of all tones, and of what lies near them.
_TONE, _IN_TONES, _NEAR_TONES = 0.02, 0.3, 0.8


def count_values(pixels: NDArray[Any]) -> dict[int, int]:
    """How often each value occurs.

    Parameters
    ----------
    pixels : (H, W) array of uint8 or uint16
        Any stored values.
    """
    counts = np.zeros(int(np.iinfo(pixels.dtype).max) + 1, np.int64)
    # In pieces, since bincount makes a copy of eight bytes for each pixel.
    for row in range(0, pixels.shape[0], _ROWS):
        counts += np.bincount(pixels[row : row + _ROWS].ravel(), minlength=len(counts))
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def check_values(pixels: NDArray[Any], name: str, palette: Palette) -> None:
    """Return if every value is a class index of the palette, or 255.

    Raises
    ------
    BadInput
        Otherwise; with the values, how often each occurs, and what they look like.
    """
    counts = count_values(pixels)
    classes = len(palette.classes)
    wrong = {value: count for value, count in counts.items() if value >= classes and value != UNKNOWN}
    if not wrong:
        return
    listed = ", ".join(f"{value} ({count:,} px)" for value, count in list(wrong.items())[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more values" if len(wrong) > _SHOWN else ""
    indices = ", ".join(f"{index} {label}" for index, label in enumerate(palette.names))
    raise BadInput(
        f"{name} holds values that are no class: {listed}{more}.",
        remedy=f"{_guess(counts, set(wrong), classes)}The classes are {indices}; 255 is unknown.",
    )


def _guess(counts: dict[int, int], wrong: set[int], classes: int) -> str:
    """What such values mostly are, as a sentence and a space."""
    values = set(counts)
    rewrite = f"rewrite them as class indices 0 to {classes - 1}"
    if values <= _VIEWER_TONES:
        return f"These are grey tones for a viewer: {rewrite}. "
    if wrong == {_UNKNOWN_16}:
        return f"Unknown is 255, not {_UNKNOWN_16}: {rewrite}. "
    if wrong == {classes} and 0 not in values:
        return f"They count from 1: {rewrite}, by taking away 1. "
    if len(wrong) >= _INSTANCES and _rings(counts):
        return (
            "These are a few tones with others scattered around them, as lossy compression (JPEG) leaves them: "
            f"save the labels as PNG from where they were drawn, and {rewrite}. "
        )
    if len(wrong) >= _INSTANCES:
        return f"So many values are an instance mask, or a picture: {rewrite}. "
    return f"If these are other numbers for the same classes, {rewrite}. "


def _rings(counts: dict[int, int]) -> bool:
    """Whether a few tones far apart make up much of the image, and nearly all others are near one of them."""
    pixels = sum(counts.values())
    tones: list[int] = []
    for value in sorted(counts, key=lambda value: -counts[value]):
        if counts[value] < _TONE * pixels or len(tones) == _MOST_TONES:
            break
        if all(abs(value - tone) > 2 * _RINGING for tone in tones):
            tones.append(value)
    exact = sum(counts[tone] for tone in tones)
    near = sum(count for value, count in counts.items() if any(abs(value - tone) <= _RINGING for tone in tones))
    return len(tones) > 1 and exact >= _IN_TONES * pixels and near >= _NEAR_TONES * pixels
