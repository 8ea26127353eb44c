"""What one would train otherwise, on the same images, for the same CPU time: see recipe.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import axon_sem
import numpy as np
import torch


def monai(minutes: float, seed: int) -> dict[str, Any]:
    """A U-Net as in MONAI's tutorials: native pixels, scaled to 0 … 1, random crops and flips, DiceCE, Adam."""
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss
    from monai.networks.nets import UNet
    from monai.transforms import Compose, RandCropByPosNegLabeld, RandFlipd, RandRotate90d, ScaleIntensityd
    from monai.utils import set_determinism

    torch.set_num_threads(1)
    set_determinism(seed)
    classes = len(axon_sem.NAMES)
    ready = Compose([ScaleIntensityd("image")])
    cut = Compose(
        [
            RandCropByPosNegLabeld(["image", "label"], "label", spatial_size=(192, 192), pos=1, neg=1, num_samples=4),
            RandFlipd(["image", "label"], prob=0.5, spatial_axis=0),
            RandFlipd(["image", "label"], prob=0.5, spatial_axis=1),
            RandRotate90d(["image", "label"], prob=0.5, spatial_axes=(0, 1)),
        ]
    )
    images = [
        ready({"image": torch.from_numpy(p.pixels)[None].float(), "label": torch.from_numpy(p.labels)[None]})
        for p in axon_sem.pictures("train")
    ]
    net = UNet(
        spatial_dims=2, in_channels=1, out_channels=classes, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2),
        num_res_units=2,
    )  # fmt: skip
    criterion = DiceCELoss(to_onehot_y=True, softmax=True)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    began_at, steps, rng = time.process_time(), 0, np.random.default_rng(seed)
    while time.process_time() - began_at < minutes * 60:
        crops = cut(images[int(rng.integers(len(images)))])
        tiles, labels = (torch.stack([torch.as_tensor(crop[key]) for crop in crops]) for key in ("image", "label"))
        optimiser.zero_grad()
        criterion(net(tiles), labels).backward()
        optimiser.step()
        steps += 1
    spent_s = time.process_time() - began_at
    (rat2,) = axon_sem.pictures("test")
    net.eval()
    with torch.inference_mode():
        whole = ready({"image": torch.from_numpy(rat2.pixels)[None].float()})["image"]
        scored = sliding_window_inference(torch.as_tensor(whole)[None], (192, 192), 4, net, overlap=0.25)
    predicted = torch.as_tensor(scored)[0].argmax(0).numpy().astype(np.uint8)
    return {"cpu_s": round(spent_s, 1), "steps": steps, **axon_sem.scored(rat2, predicted)}


def forest(minutes: float, seed: int) -> dict[str, Any]:
    """A random forest on scikit-image's multiscale features, as in its trainable segmentation example.

    The forest grows tree by tree, each on 20,000 pixels of every image, until the time is used up.
    """
    from skimage.feature import multiscale_basic_features
    from sklearn.ensemble import RandomForestClassifier

    def features(pixels: Any) -> Any:
        return multiscale_basic_features(pixels, sigma_min=1, sigma_max=16)

    rng, rows, truth = np.random.default_rng(seed), [], []
    began_at = time.process_time()
    for picture in axon_sem.pictures("train"):
        chosen = rng.choice(picture.labels.size, 20_000, replace=False)
        rows.append(features(picture.pixels).reshape(picture.labels.size, -1)[chosen])
        truth.append(picture.labels.ravel()[chosen])
    model = RandomForestClassifier(
        n_estimators=0, max_depth=10, max_samples=0.05, warm_start=True, n_jobs=1, random_state=seed
    )
    while time.process_time() - began_at < minutes * 60 and model.n_estimators < 200:
        model.set_params(n_estimators=model.n_estimators + 5)
        model.fit(np.concatenate(rows), np.concatenate(truth))
    spent_s = time.process_time() - began_at
    (rat2,) = axon_sem.pictures("test")
    found = features(rat2.pixels)
    predicted = np.concatenate([model.predict(line).astype(np.uint8)[None] for line in found])
    return {"cpu_s": round(spent_s, 1), "trees": model.n_estimators, **axon_sem.scored(rat2, predicted)}


METHODS: dict[str, Callable[[float, int], dict[str, Any]]] = {"monai": monai, "forest": forest}
