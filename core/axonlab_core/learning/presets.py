"""The presets: how wide and how deep the network is, and the recipe it is trained with."""

from __future__ import annotations

from types import MappingProxyType

from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import BadInput


class Augmentation(Value):
    """How much tiles are changed. Shares are of the tiles; the others stay as they are in that respect."""

    warped_share: float = 0.5
    """Turned by any angle, scaled and bent. The others are only mirrored and turned by quarters, which needs no
    interpolation."""
    zoom: float = 1.3
    """Largest factor, either way."""
    bend_px: float = 0.0
    """Standard deviation of the displacement of points 32 px apart."""
    gamma_share: float = 0.0
    gamma: float = 0.3
    """Largest exponent of e, either way."""
    contrast: float = 0.25
    """Largest loss of contrast; 1 / (1 - contrast) is the largest gain."""
    brightness: float = 0.3
    """Largest shift, in standard deviations of the image."""
    blur_share: float = 0.0
    blur_px: float = 1.2
    noise_share: float = 0.0
    noise: float = 0.3
    """Largest standard deviation, in standard deviations of the image."""


class Preset(Value):
    """A network's shape and the defaults of its training."""

    widths: tuple[int, ...]
    """Channels at each level, from full resolution down; every level halves the resolution."""
    batch: int
    tile_px: int
    learning_rate: float
    augmentation: Augmentation = Augmentation()
    deep_supervision: bool = False
    """Whether lower resolutions are given labels to reach, too, while training."""

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
        # For a CPU and a first lesson. In a few hundred steps, more augmentation than this costs more than it gives.
        "tiny": Preset(widths=(16, 32, 64, 128, 256), batch=4, tile_px=192, learning_rate=0.05),
        # For a GPU: the topology of nnU-Net's two-dimensional network (https://doi.org/10.1038/s41592-020-01008-z).
        "standard": Preset(
            widths=(32, 64, 128, 256, 512, 512),
            batch=8,
            tile_px=384,
            learning_rate=0.05,
            augmentation=Augmentation(warped_share=0.7, bend_px=1.0, gamma_share=0.3, blur_share=0.2, noise_share=0.2),
            deep_supervision=True,
        ),
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
