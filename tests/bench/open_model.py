"""Open a model of some 300 MB and segment a first tile, against `torch.load`, init and `load_state_dict`.

    python tests/bench/open_model.py [--repeats 5]

Files are in the system's cache. The usual way unpickles a state dict and copies it into a network whose weights
were drawn before; the same network, the same tile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from axonlab_core.learning import model_file
from axonlab_core.learning.presets import PRESETS
from axonlab_core.learning.unet import UNet, new_unet

sys.path.append(str(Path(__file__).parents[1]))  # what benchmarks share with tests
import cards

WIDTHS = (64, 128, 256, 512, 1024, 1024)
CARD = cards.untrained("standard")


def usual(path: Path) -> UNet:
    """What most scripts do."""
    net = UNet(1, 3, WIDTHS)
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()


def timed(opened: Callable[[], UNet], tile: Any) -> tuple[float, float]:
    """Seconds to open a model, and until a first tile is segmented."""
    began_at = time.perf_counter()
    net = opened()
    open_s = time.perf_counter() - began_at
    with torch.inference_mode():
        net(tile)
    return open_s, time.perf_counter() - began_at


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    # A model file names its preset, and no preset is this large: the network of this benchmark stands in for one.
    wide = PRESETS["standard"].model_copy(update={"widths": WIDTHS})
    model_file.find_preset = lambda _: wide
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "model.safetensors", Path(folder) / "model.pt"
        net = new_unet(1, 3, WIDTHS, 0).eval()
        model_file.save_model(ours, net.state_dict(), CARD)
        torch.save(net.state_dict(), theirs)
        print(f"{ours.stat().st_size / 1e6:.0f} MB")
        tile = torch.zeros(1, 1, 64, 64)
        del net
        for name, opened in (
            ("load_model", lambda: model_file.load_model(ours).net),
            ("torch.load", lambda: usual(theirs)),
        ):
            timed(opened, tile)
            found = [timed(opened, tile) for _ in range(repeats)]
            open_s, whole_s = (median(values) for values in zip(*found, strict=True))
            print(f"{name}: open {open_s * 1000:.1f} ms, open and first tile {whole_s * 1000:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
