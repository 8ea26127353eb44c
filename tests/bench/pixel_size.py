"""What a wrong pixel size costs: Dice on rat2 and on the same image rescaled ×0.7 and ×1.4, size honoured and ignored.

    python tests/bench/pixel_size.py [--minutes 3 --seed 0 1 2] [--model model.safetensors]

Trains with the recipe as it ships on the `train` split (as tests/bench/recipe.py does: one thread, minutes of the
process's own CPU time), or takes a model. *Honoured*: the rescaled image comes with its pixel size, as it would from
a microscope at another magnification. *Ignored*: every image is taken as it is, pixel by pixel.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import axon_sem
import cv2
import numpy as np
from numpy.typing import NDArray

from axonlab_core.imaging.metrics import agreement
from axonlab_core.imaging.resample import resample_labels
from axonlab_core.learning.infer import Reach, predict
from axonlab_core.learning.model_file import Model, load_model
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.train import train
from axonlab_core.learning.unet import UNet, folded

FACTORS = (1.0, 0.7, 1.4)


def rescaled(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """The image as a microscope of another magnification might give it; not by our own resampling."""
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def dice(net: UNet, model: Model, picture: axon_sem.Picture, factor: float, *, honoured: bool) -> dict[str, float]:
    """Dice of axon and myelin on the rescaled image, against labels rescaled as well."""
    preset, wanted = find_preset(model.card.preset), model.card.input.pixel_size_um
    pixels = picture.pixels if factor == 1 else rescaled(picture.pixels, factor)
    scale = 1.0 if wanted is None or not honoured else picture.pixel_size_um / factor / wanted
    reach, brightness = Reach(preset.halo_px, preset.stride_px), measure(pixels, model.card.input.normalisation)
    labels = predict(net, pixels, reach=reach, brightness=brightness, scale=scale).labels
    truth = picture.labels if factor == 1 else resample_labels(picture.labels, factor)
    found = agreement(truth, labels, len(axon_sem.NAMES)).scores(axon_sem.NAMES)
    return {name: found[name].dice or 0.0 for name in ("axon", "myelin")} | {"F1": found["axon"].f1(0.5) or 0.0}


def trained(minutes: float, seed: int) -> Model:
    """A model of the recipe as it ships."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = axon_sem.lay_out(Path(folder), "dense", seed)
        train(workspace, minutes=minutes, seed=seed, threads=1, report=[].append, clock=time.process_time)
        return load_model(workspace / "results" / "model" / "model.safetensors")


def tell(name: str, model: Model) -> None:
    """Print a row for each image of each way."""
    (rat2,), net = axon_sem.pictures("test"), folded(model.net)
    for honoured in (True, False):
        for factor in FACTORS:
            found = dice(net, model, rat2, factor, honoured=honoured)
            told = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
            print(f"{name}: pixel size {'honoured' if honoured else 'ignored'}, image ×{factor}: {told}", flush=True)


def main() -> None:
    """Print the scores of each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--model", type=Path)
    asked = parser.parse_args()
    if asked.model is not None:
        tell(asked.model.name, load_model(asked.model))
        return
    for seed in asked.seed:
        tell(f"seed {seed}", trained(asked.minutes, seed))


if __name__ == "__main__":
    main()
