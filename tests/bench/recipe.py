"""Dice on rat2 after so many CPU minutes of training: the recipe, and what one would do otherwise.

    python tests/bench/recipe.py --minutes 1 3 6 --seed 0 1 2
    python tests/bench/recipe.py --minutes 6 --labels strokes strokes-as-background
    python tests/bench/recipe.py --method monai --minutes 1 3 6       (needs the extra [bench])
    python tests/bench/recipe.py --method forest --minutes 1

One thread. A minute is a minute of the process's own CPU time, spent in the training loop with its validations;
reading the images and scoring rat2 is not counted, for nobody. Each result is a line of
`tests/bench/results/recipe.jsonl`; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "recipe.jsonl"
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "4294967295",
    "MALLOC_TRIM_THRESHOLD_": "34359738368",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
}
"""As the runner sets it for its runs; glibc reads it when the process starts. The same for every method."""


def axonlab(labels: str, minutes: float, seed: int) -> dict[str, Any]:
    """Train with the recipe as it ships, in this process."""
    import axon_sem
    import numpy as np

    from axonlab_core.contract.model_card import Normalisation
    from axonlab_core.learning.infer import Reach, predict
    from axonlab_core.learning.model_file import load_model
    from axonlab_core.learning.normalise import measure
    from axonlab_core.learning.presets import find_preset
    from axonlab_core.learning.train import train
    from axonlab_core.learning.unet import folded

    with tempfile.TemporaryDirectory() as folder:
        workspace = axon_sem.lay_out(Path(folder), labels, seed)
        result = train(workspace, minutes=minutes, seed=seed, threads=1, report=[].append, clock=time.process_time)
        model = load_model(workspace / "results" / "model" / "model.safetensors")
    preset, scale_to = find_preset(model.card.preset), model.card.input.pixel_size_um
    (rat2,) = axon_sem.pictures("test")
    predicted = predict(
        folded(model.net),
        rat2.pixels,
        reach=Reach(preset.halo_px, preset.stride_px),
        brightness=measure(rat2.pixels, Normalisation()),
        scale=1.0 if scale_to is None else rat2.pixel_size_um / scale_to,
    ).labels
    training = result.card.training
    return {
        "cpu_s": round(training.seconds, 1),
        "steps": training.steps,
        "precision": training.precision,
        "labelled": round(training.labelled_fraction, 4),
        **axon_sem.scored(rat2, np.asarray(predicted, np.uint8)),
    }


def run(method: str, labels: str, minutes: float, seed: int) -> dict[str, Any]:
    """Scores of one training."""
    if method == "axonlab":
        return axonlab(labels, minutes, seed)
    import recipe_peers

    return recipe_peers.METHODS[method](minutes, seed)


def main() -> None:
    """Run what has no result yet, one by one."""
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)  # noqa: S606 (ourselves)
    import axon_sem

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="axonlab", choices=("axonlab", "monai", "forest"))
    parser.add_argument("--labels", nargs="+", default=["dense"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0])
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    asked = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for seed, minutes, labels in itertools.product(asked.seed, asked.minutes, asked.labels):
        what = {"method": asked.method, "labels": labels, "minutes": minutes, "seed": seed}
        if any(what.items() <= row.items() for row in axon_sem.rows(RESULTS)):
            continue
        row = {**what, **run(asked.method, labels, minutes, seed)}
        axon_sem.add_row(RESULTS, row)
        print(row, flush=True)


if __name__ == "__main__":
    main()
