"""What a process does before its first training step that it need not do again: imports, above all."""

from __future__ import annotations

import numpy as np
import torch

from axonlab_core.imaging.canonical import decode, encode


def rehearse() -> None:
    """Have everything imported that a job needs, also what torch and tifffile import only when they are used.

    The first optimiser alone imports eight hundred modules (torch's compiler), which takes about a second. A parent
    of forked processes does this, so that they need not. No step is taken: that would ask for CUDA, and start
    threads, and neither survives a fork.
    """
    import axonlab_core.learning.lab_report  # noqa: PLC0415 (what a job's notebook imports)
    import axonlab_core.learning.segment  # noqa: PLC0415 (as above)
    import axonlab_core.learning.train  # noqa: F401, PLC0415 (as above)

    decode(encode(np.zeros((16, 16), np.uint8)))
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
