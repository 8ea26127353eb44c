"""The network: a residual U-Net with batch norm.

An encoder halves the resolution and looks at ever larger surroundings; a decoder brings the result back to
full resolution, at every level beside what the encoder saw there. Nothing in it looks at the tile it stands
in: at inference batch norm is a fixed scale and shift, folded into the convolutions.

The names of its tensors are a public format (the keys of every model file). Do not rename attributes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Block(nn.Module):
    """Two 3 × 3 convolutions and a way around them."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width_out)
        self.around = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, in, H, W)` → `(N, out, H, W)`."""
        y = torch.relu_(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu_(y + self.around(x))


class UNet(nn.Module):
    """`(N, channels, H, W)` → class scores `(N, classes, H, W)`; H and W are multiples of 2^(levels - 1)."""

    def __init__(self, channels: int, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        wide = (channels, *widths)
        self.encoder = nn.ModuleList(Block(a, b) for a, b in zip(wide, widths, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(Block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (logits) of every pixel."""
        return self.head(self.decoded(x)[0])

    def decoded(self, x: Tensor) -> list[Tensor]:
        """What the decoder has come to at every level, from full resolution down."""
        seen: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            if level > 0:
                x = nn.functional.max_pool2d(x, 2)
            x = block(x)
            seen.append(x)
        found: list[Tensor] = []
        for level in reversed(range(len(self.decoder))):
            x = torch.cat([self.up[level](x), seen[level]], dim=1)
            x = self.decoder[level](x)
            found.append(x)
        return found[::-1]


class SideHeads(nn.Module):
    """Class scores at lower resolutions too: deep supervision, for the training alone.

    They are kept in checkpoints and no model file has them.
    """

    def __init__(self, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths[1:-1])

    def forward(self, decoded: Sequence[Tensor]) -> list[Tensor]:
        """Class scores at half, a quarter, … of the resolution; `decoded` is what `UNet.decoded` returns."""
        return [head(x) for head, x in zip(self.heads, decoded[1:], strict=False)]


def new_unet(channels: int, classes: int, widths: Sequence[int], seed: int) -> UNet:
    """A network with fresh weights, the same for the same seed; the process's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = UNet(channels, classes, widths)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(net.head.weight, std=0.01)
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (an overload torch's stubs lack)


def new_side_heads(classes: int, widths: Sequence[int], seed: int, *, deep: bool) -> SideHeads:
    """Side heads with fresh weights; without `deep` supervision there are none in it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        side = SideHeads(classes, widths if deep else ())
        for head in side.heads:
            nn.init.normal_(head.get_parameter("weight"), std=0.01)
            nn.init.zeros_(head.get_parameter("bias"))
    return side


def folded(net: UNet) -> UNet:
    """A copy for inference: every batch norm has become part of the convolution before it."""
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        if isinstance(module, Block):
            module.conv1 = cast("nn.Conv2d", fuse_conv_bn_eval(module.conv1, module.norm1))
            module.conv2 = cast("nn.Conv2d", fuse_conv_bn_eval(module.conv2, module.norm2))
            module.norm1 = cast("nn.BatchNorm2d", nn.Identity())
            module.norm2 = cast("nn.BatchNorm2d", nn.Identity())
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (as above)
