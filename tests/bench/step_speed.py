"""Seconds of a training step, batch 8, and what its settings bring. Run on an idle machine.

    python tests/bench/step_speed.py [--threads 2] [--steps 10]

The same loop in processes of their own (glibc reads its settings at the start): as it ships, with one thing left
out after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967295",
    "MALLOC_TRIM_THRESHOLD_": "34359738368",
    "MALLOC_TOP_PAD_": "268435456",
}
THREADING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
WAYS = {
    "plain: float32, channels first, glibc's own allocator settings": (False, False, "float32"),
    "channels last": (True, False, "float32"),
    "allocator settings": (False, True, "float32"),
    "channels last and allocator settings": (True, True, "float32"),
    "channels last, allocator settings, bfloat16": (True, True, "bfloat16"),
}


def steps(channels_last: bool, precision: str, threads: int, count: int) -> dict[str, float]:
    """Median seconds and CPU seconds of a step of the preset `tiny`."""
    import torch

    from axonlab_core.learning.loss import segmentation_loss
    from axonlab_core.learning.muon import new_optimisers
    from axonlab_core.learning.precision import mixed
    from axonlab_core.learning.presets import PRESETS
    from axonlab_core.learning.unet import new_side_heads, new_unet

    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    widths, size = PRESETS["tiny"].widths, PRESETS["tiny"].tile_px
    net = new_unet(1, 3, widths, 0).to(memory_format=layout)
    optimisers = new_optimisers(net, new_side_heads(3, widths, 0, deep=False), 0.02, precision)
    tiles = torch.randn(8, 1, size, size).contiguous(memory_format=layout)
    labels = torch.randint(0, 3, (8, size, size))
    took = []
    for _ in range(count + 3):
        began = time.perf_counter(), time.process_time()
        with mixed(torch.device("cpu"), precision):
            scores = net(tiles)
        for optimiser in optimisers:
            optimiser.zero_grad()
        segmentation_loss(scores.float(), labels).backward()
        for optimiser in optimisers:
            optimiser.step()
        took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall, cpu = (median(values) for values in zip(*took[3:], strict=True))
    return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--way", choices=WAYS)
    asked = parser.parse_args()
    if asked.way:
        layout, _, precision = WAYS[asked.way]
        print(json.dumps(steps(layout, precision, asked.threads, asked.steps)))
        return
    for way, (_, allocator, _) in WAYS.items():
        bare = {name: value for name, value in os.environ.items() if name not in ALLOCATOR}
        command = [sys.executable, __file__, "--way", way, f"--threads={asked.threads}", f"--steps={asked.steps}"]
        answer = subprocess.run(
            command, env=bare | THREADING | (ALLOCATOR if allocator else {}), capture_output=True, text=True,
            check=True, timeout=600,
        )  # fmt: skip
        print(f"{way:<64}", answer.stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
