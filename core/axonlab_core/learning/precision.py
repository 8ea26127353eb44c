"""The number format of a training's convolutions: the shortest that the processor computes with itself.

Weights, batch norm's statistics, loss and optimiser stay in float32 whatever is chosen (automatic mixed
precision).
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16", "float16"]


def native_precision(device: torch.device) -> Precision:
    """float16 on a GPU, bfloat16 on a CPU that multiplies it in hardware, float32 elsewhere.

    A T4 has no bfloat16. A CPU without instructions for bfloat16 emulates it, slower than float32.
    """
    if device.type == "cuda":
        return "float16"
    # The public name for this question, in torch.cpu.get_capabilities, is younger than the torch we ask for.
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"  # noqa: SLF001


def mixed(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which convolutions are computed in `precision`."""
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32")
