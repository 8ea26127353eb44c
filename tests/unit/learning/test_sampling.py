import numpy as np
import torch

from axonlab_core.learning.presets import Augmentation
from axonlab_core.learning.sampling import TileSampler
from axonlab_core.learning.split import Region, whole


def labels_with_rare_axon():
    labels = np.full((200, 160), 255, np.uint8)
    labels[20:60, 20:60] = 0
    labels[120:124, 100:104] = 2
    return labels


def sampler_of(region, *, seed=0, **how):
    return TileSampler([region], classes=3, seed=seed, augmentation=Augmentation(**how))


def test_a_batch_depends_on_seed_and_step_alone(prepared):
    image = prepared("a", labels_with_rare_axon())

    def batch(step, *, of):
        return of.batch(step, size=3, tile_px=48)

    used = sampler_of(whole(image), seed=1)
    batch(0, of=used)
    batch(1, of=used)
    for there, again in zip(batch(7, of=used), batch(7, of=sampler_of(whole(image), seed=1)), strict=True):
        assert torch.equal(there, again)
    assert not torch.equal(batch(7, of=used)[0], batch(8, of=used)[0])
    assert not torch.equal(batch(7, of=used)[0], batch(7, of=sampler_of(whole(image), seed=2))[0])


def test_every_tile_has_labels_and_rare_classes_come_often(prepared):
    sampler = sampler_of(whole(prepared("a", labels_with_rare_axon())))
    tiles = [labels for step in range(20) for labels in sampler.batch(step, size=4, tile_px=48)[1]]
    assert all((labels != 255).any() for labels in tiles)
    assert sum(bool((labels == 2).any()) for labels in tiles) > 20


def test_pixels_and_labels_stay_together(prepared):
    """An image whose grey *is* its label, apart from the change of brightness, which is monotone."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, 3, (12, 12)).astype(np.uint8), 16, 0), 16, 1)
    image = prepared("a", labels)
    object.__setattr__(image, "pixels", labels[:, :, None].astype(np.float32))
    sampler = sampler_of(whole(image))
    for step in range(10):
        for tile, found in zip(*sampler.batch(step, size=4, tile_px=64), strict=True):
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
    sampler = sampler_of(whole(image))
    exact = 0
    for step in range(25):
        for tile, found in zip(*sampler.batch(step, size=4, tile_px=32), strict=True):
            known = found != 255
            spread = [tile[0][known & (found == k)].aminmax() for k in range(3)]
            exact += all(bool(most - least < 1e-3) for least, most in spread)
    assert 30 < exact < 70


def test_outside_the_region_nothing_is_known_and_nothing_is_seen(prepared):
    labels = np.random.default_rng(0).integers(0, 3, (200, 200)).astype(np.uint8)
    image = prepared("a", labels)
    image.pixels[:, 100:] = 1e6  # a tile that looked beyond the region would show it
    sampler = sampler_of(Region(image, 0, 200, 0, 100))
    tiles, found = zip(*(sampler.batch(step, size=4, tile_px=64) for step in range(10)), strict=True)
    assert torch.cat(tiles).max() < 1e5
    assert (torch.cat(found) == 255).any()


def test_tiles_lie_in_memory_as_the_convolutions_want_them(prepared):
    tiles, labels = sampler_of(whole(prepared("a", labels_with_rare_axon()))).batch(0, size=3, tile_px=48)
    assert tiles.shape == (3, 1, 48, 48)
    assert tiles.dtype == torch.float32
    assert tiles.is_contiguous(memory_format=torch.channels_last)
    assert labels.shape == (3, 48, 48)
    assert labels.dtype == torch.int64
