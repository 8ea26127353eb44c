"""Tiles of 512 × 512 px augmented in a second by one core: ours, and MONAI's and albumentations' where installed.

    python tests/bench/augment_speed.py

Each tile is turned, mirrored, scaled, bent, given another contrast, brightness and gamma, blurred and made noisy;
from an 8-bit image and its labels to a float32 tile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

SIZE = 512
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (1200, 1400), dtype=np.uint8)
LABELS = RNG.integers(0, 3, (1200, 1400), dtype=np.uint8)


def ours() -> Callable[[], Any]:
    """One look-up per pixel."""
    from axonlab_core.learning.augment import Source, cut_tile
    from axonlab_core.learning.presets import Augmentation

    source = Source.of(PIXELS[:, :, None].astype(np.float32), LABELS)
    how = Augmentation(warped_share=1, bend_px=1, gamma_share=1, blur_share=1, noise_share=1)
    rng = np.random.default_rng(0)
    return lambda: cut_tile(source, 600, 700, tile_px=SIZE, how=how, rng=rng)


def monai() -> Callable[[], Any]:
    """The same changes as MONAI's dictionary transforms."""
    import torch
    from monai.transforms import (
        Compose,
        Rand2DElasticd,
        RandAdjustContrastd,
        RandFlipd,
        RandGaussianNoised,
        RandGaussianSmoothd,
        RandScaleIntensityd,
        RandShiftIntensityd,
        RandSpatialCropd,
        ScaleIntensityd,
    )  # fmt: skip

    torch.set_num_threads(1)
    both = ["image", "label"]
    change = Compose(
        [
            RandSpatialCropd(both, (SIZE, SIZE), random_size=False),
            Rand2DElasticd(
                both, spacing=(32, 32), magnitude_range=(0, 2), prob=1, rotate_range=0.8, scale_range=0.3,
                mode=("bilinear", "nearest"), padding_mode="reflection",
            ),
            RandFlipd(both, prob=0.5, spatial_axis=0),
            ScaleIntensityd("image"),
            RandAdjustContrastd("image", prob=1, gamma=(0.7, 1.4)),
            RandScaleIntensityd("image", factors=0.25, prob=1),
            RandShiftIntensityd("image", offsets=0.1, prob=1),
            RandGaussianSmoothd("image", (0.4, 1.2), (0.4, 1.2), prob=1),
            RandGaussianNoised("image", prob=1, std=0.1),
        ]
    )  # fmt: skip
    source = {"image": torch.from_numpy(PIXELS)[None].float(), "label": torch.from_numpy(LABELS)[None].float()}
    return lambda: change(source)


def albumentations() -> Callable[[], Any]:
    """The same changes as albumentations has them."""
    import albumentations as a
    import cv2

    cv2.setNumThreads(1)
    change = a.Compose(
        [
            a.RandomCrop(SIZE, SIZE),
            a.D4(p=1),
            a.Affine(scale=(0.77, 1.3), rotate=(-45, 45), p=1),
            a.ElasticTransform(alpha=30, sigma=5, p=1),
            a.RandomBrightnessContrast(p=1),
            a.RandomGamma(p=1),
            a.GaussianBlur(p=1),
            a.GaussNoise(p=1),
            a.ToFloat(max_value=255),
        ]
    )
    return lambda: change(image=PIXELS, mask=LABELS)


def main() -> None:
    """Print a line for each of them."""
    for make in (ours, monai, albumentations):
        if make is not ours and find_spec(make.__name__) is None:
            print(f"{make.__name__}: not installed")
            continue
        cut = make()
        for _ in range(3):
            cut()
        began_at, count = time.process_time(), 0
        while time.process_time() - began_at < 4:
            cut()
            count += 1
        print(f"{make.__name__}: {count / (time.process_time() - began_at):.0f} tiles/s")


if __name__ == "__main__":
    main()
