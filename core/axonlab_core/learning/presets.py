"""The presets: how wide and how deep the network is, and the recipe it is trained with."""

from __future__ import annotations

from types import MappingProxyType

from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import BadInput


class Preset(Value):
    """A network's shape and the defaults of its training."""

    widths: tuple[int, ...]
    """Channels at each level, from full resolution down; every level halves the resolution."""
    batch: int
    tile_px: int
    learning_rate: float

    @property
    def stride_px(self) -> int:
        """Edge of the deepest level's pixel: tiles begin at multiples of it."""
        return 2 ** (len(self.widths) - 1)

    @property
    def halo_px(self) -> int:
        """How far beyond a tile the network must see so that the tile's labels are the whole image's.

        Followed from the output back to the input: each block of two 3 × 3 convolutions reaches two pixels
        of its own level, each level is reached through the one above it. Rounded up to whole strides.
        """
        reach = 0
        for _ in self.widths[:-1]:  # decoder, from full resolution down
            reach = -(-(reach + 2) // 2)
        for _ in self.widths[:-1]:  # deepest block and encoder, back up
            reach = (reach + 2) * 2
        return -(-(reach + 2) // self.stride_px) * self.stride_px


PRESETS = MappingProxyType(
    {
        "tiny": Preset(widths=(16, 32, 64, 128, 256), batch=4, tile_px=192, learning_rate=6e-3),
    }
)


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises
    ------
    BadInput
        If there is none; the sentence lists those there are.
    """
    if name not in PRESETS:
        raise BadInput(f"There is no preset {name!r}.", remedy=f"Choose one of: {', '.join(PRESETS)}.")
    return PRESETS[name]
