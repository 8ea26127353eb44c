"""The optimisers: Muon for the convolutions' weights, AdamW for everything else.

In a training of a minute or two Muon comes further (docs/learning.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from axonlab_core.learning.precision import Precision
from axonlab_core.learning.unet import UNet

Optimisers = tuple[torch.optim.Optimizer, ...]

_ADAMW_SHARE = 0.12
"""AdamW's learning rate as a share of Muon's: norms, biases, first and last layer."""
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised: every direction in which a layer may change is changed as much.

    A convolution's weight is taken as a matrix with a row for each of its output channels. torch's own Muon
    takes nothing but matrices, and computes in bfloat16 where that is emulated, too.

    References
    ----------
    Liu et al. (2025), https://doi.org/10.48550/arXiv.2502.16982
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        precision: Precision,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        # float16 overflows in the products below; a GPU computes matrices this small in no time in any case.
        self._dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change the parameters by their gradients."""
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(momentum, group["momentum"])  # Nesterov's
                matrix = ahead.reshape(len(ahead), -1)
                change = orthogonalised(matrix.to(self._dtype)).to(weight.dtype).reshape(weight.shape)
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-group["lr"] * scale)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Roughly the nearest matrix whose singular values are all one (between 0.7 and 1.2), by Newton–Schulz.

    Parameters
    ----------
    matrix : (M, N) float tensor
    """
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def new_optimisers(net: UNet, extra: nn.Module, learning_rate: float, precision: Precision) -> Optimisers:
    """The optimisers of a network and of what is trained beside it, before the first step."""
    first = net.encoder[0]
    blocks = [block for block in (*net.encoder, *net.decoder) if block is not first]
    matrices = [conv.weight for block in blocks for conv in block.modules() if isinstance(conv, nn.Conv2d)]
    matrices += [first.get_submodule("conv2").get_parameter("weight")]
    taken = {id(weight) for weight in matrices}
    rest = [weight for weight in (*net.parameters(), *extra.parameters()) if id(weight) not in taken]
    return (
        Muon(matrices, lr=learning_rate, precision=precision),
        torch.optim.AdamW(rest, lr=_ADAMW_SHARE * learning_rate, weight_decay=0.01),
    )


def set_share(optimisers: Optimisers, share: float) -> None:
    """Let every optimiser work at this share of the learning rate that it was made with."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = share * optimiser.defaults["lr"]
