import numpy as np
import torch

from axonlab_core.learning.sampling import TileSampler
from axonlab_core.learning.split import Region, whole


def labels_with_rare_axon():
    labels = np.full((200, 160), 255, np.uint8)
    labels[20:60, 20:60] = 0
    labels[120:124, 100:104] = 2
    return labels


def test_a_batch_depends_on_seed_and_step_alone(prepared):
    image = prepared("a", labels_with_rare_axon())

    def sampler(seed):
        return TileSampler([whole(image)], classes=3, batch=3, tile_px=48, seed=seed)

    used = sampler(1)
    used.batch(0)
    used.batch(1)
    for there, again in zip(used.batch(7), sampler(1).batch(7), strict=True):
        assert torch.equal(there, again)
    assert not torch.equal(used.batch(7)[0], used.batch(8)[0])
    assert not torch.equal(used.batch(7)[0], sampler(2).batch(7)[0])


def test_every_tile_has_labels_and_rare_classes_come_often(prepared):
    sampler = TileSampler([whole(prepared("a", labels_with_rare_axon()))], classes=3, batch=4, tile_px=48, seed=0)
    tiles = [labels for step in range(20) for labels in sampler.batch(step)[1]]
    assert all((labels != 255).any() for labels in tiles)
    assert sum(bool((labels == 2).any()) for labels in tiles) > 20


def test_pixels_and_labels_stay_together(prepared):
    """An image whose grey *is* its label, apart from the change of brightness, which is monotone."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, 3, (12, 12)).astype(np.uint8), 16, 0), 16, 1)
    image = prepared("a", labels)
    object.__setattr__(image, "pixels", labels[:, :, None].astype(np.float32))
    sampler = TileSampler([whole(image)], classes=3, batch=4, tile_px=64, seed=0)
    for step in range(10):
        for tile, found in zip(*sampler.batch(step), strict=True):
            known = found != 255
            means = [float(tile[0][known & (found == k)].mean()) for k in range(3) if (found == k).any()]
            assert means == sorted(means)
            grey = tile[0][known]
            agreement = np.corrcoef(grey.numpy(), found[known].numpy())[0, 1]
            assert agreement > 0.95


def test_half_of_the_tiles_keep_their_pixels_as_they_are(prepared):
    labels = np.random.default_rng(0).integers(0, 3, (100, 100)).astype(np.uint8)
    image = prepared("a", labels)
    object.__setattr__(image, "pixels", labels[:, :, None].astype(np.float32))
    sampler = TileSampler([whole(image)], classes=3, batch=4, tile_px=32, seed=0)
    exact = 0
    for step in range(25):
        for tile, found in zip(*sampler.batch(step), strict=True):
            known = found != 255
            spread = [tile[0][known & (found == k)].aminmax() for k in range(3)]
            exact += all(bool(most - least < 1e-3) for least, most in spread)
    assert 30 < exact < 70


def test_outside_the_region_nothing_is_known_and_nothing_is_seen(prepared):
    labels = np.random.default_rng(0).integers(0, 3, (200, 200)).astype(np.uint8)
    image = prepared("a", labels)
    image.pixels[:, 100:] = 1e6  # a tile that looked beyond the region would show it
    sampler = TileSampler([Region(image, 0, 200, 0, 100)], classes=3, batch=4, tile_px=64, seed=0)
    tiles, found = zip(*(sampler.batch(step) for step in range(10)), strict=True)
    assert torch.cat(tiles).max() < 1e5
    assert (torch.cat(found) == 255).any()
