"""The loss: cross-entropy and soft Dice on labelled pixels only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from axonlab_core.contract.palette import UNKNOWN


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of cross-entropy and 1 - soft Dice over the labelled pixels; 0 for a perfect prediction.

    Unknown pixels are taken out *after* the softmax. Masking the logits before it would turn every unknown
    pixel into an even bet on all classes, which then counts as false positives: a perfect prediction with
    10 % of the pixels labelled would score 0.82 instead of 0.

    Parameters
    ----------
    logits : (N, K, H, W) float tensor
    labels : (N, H, W) int64 tensor
        Class index, 255 = unknown.

    References
    ----------
    Milletari, Navab & Ahmadi (2016), https://doi.org/10.1109/3DV.2016.79
    """
    known = labels != UNKNOWN
    counted = known.sum().clamp(min=1)
    log_probability = functional.log_softmax(logits, dim=1)
    entropy = functional.nll_loss(log_probability, labels, ignore_index=UNKNOWN, reduction="sum") / counted

    classes = logits.shape[1]
    truth = functional.one_hot(labels.where(known, 0), classes).movedim(-1, 1) * known[:, None]
    probability = log_probability.exp() * known[:, None]
    over = (0, 2, 3)  # the whole batch together: a class that a single tile lacks is no reason to jump
    agreed = (probability * truth).sum(over)
    either = probability.sum(over) + truth.sum(over)
    occurring = truth.sum(over) > 0
    dice = (2 * agreed + 1e-6) / (either + 1e-6)
    soft_dice_loss = torch.where(occurring, 1 - dice, 0.0).sum() / occurring.sum().clamp(min=1)
    return 0.5 * (entropy + soft_dice_loss)


def deep_loss(logits: Tensor, side_logits: Sequence[Tensor], labels: Tensor) -> Tensor:
    """The loss at full resolution and, for half as much each time, at half of it, a quarter, …; 0 if all are perfect.

    Parameters
    ----------
    logits : (N, K, H, W) float tensor
    side_logits : sequence of (N, K, H / 2, W / 2), (N, K, H / 4, W / 4), … float tensors
    labels : (N, H, W) int64 tensor
        A lower resolution takes every second, fourth, … of them.

    References
    ----------
    Isensee et al. (2021), https://doi.org/10.1038/s41592-020-01008-z
    """
    total, weights = segmentation_loss(logits, labels), 1.0
    for level, scores in enumerate(side_logits, start=1):
        step, weight = 2**level, 0.5**level
        total = total + weight * segmentation_loss(scores, labels[:, step // 2 :: step, step // 2 :: step])
        weights += weight
    return total / weights
