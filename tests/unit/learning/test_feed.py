import numpy as np
import torch

from axonlab_core.learning.feed import Feed
from axonlab_core.learning.presets import Augmentation
from axonlab_core.learning.sampling import TileSampler
from axonlab_core.learning.split import whole


def test_batches_made_ahead_are_those_made_in_time(prepared):
    labels = np.random.default_rng(0).integers(0, 3, (90, 90)).astype(np.uint8)
    sampler = TileSampler([whole(prepared("a", labels))], classes=3, seed=0, augmentation=Augmentation())
    cpu = torch.device("cpu")
    with Feed(sampler, cpu) as plain, Feed(sampler, cpu, ahead=3) as ahead:
        for step, (size, tile_px) in enumerate([(4, 48), (4, 48), (2, 48), (2, 48), (2, 32)]):
            for one, other in zip(
                plain.batch(step, size=size, tile_px=tile_px),
                ahead.batch(step, size=size, tile_px=tile_px),
                strict=True,
            ):
                assert torch.equal(one, other)
