import numpy as np
import pytest
import torch

from axonlab_core.contract.model_card import Normalisation
from axonlab_core.learning.infer import Reach, largest, predict_labels
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.presets import PRESETS
from axonlab_core.learning.unet import folded, new_unet

TINY = PRESETS["tiny"]
REACH = Reach(TINY.halo_px, TINY.stride_px)


@pytest.fixture(scope="module")
def net():
    """A network with random weights, whose classes all occur and change from pixel to pixel."""
    net = new_unet(1, 3, TINY.widths, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.5)
        torch.nn.init.normal_(net.head.weight)
        for _ in range(20):
            logits = net(torch.randn(2, 1, 64, 64))
        with torch.no_grad():
            net.head.bias -= logits.mean(dim=(0, 2, 3))
    return folded(net)


def labels_of(net, image, **options):
    brightness = measure(image, Normalisation())
    return predict_labels(net, image, **{"reach": REACH, "brightness": brightness, "scale": 1.0, **options})


@pytest.mark.parametrize("scale", [1.0, 0.7, 1.4])
def test_tiles_give_the_labels_of_the_whole_image(net, sample, scale):
    image = sample["rat2_data5"][0][100:283, 200:425]
    whole = labels_of(net, image, scale=scale, tile_px=10_000)
    assert min(np.bincount(whole.ravel(), minlength=3)) > 100
    for tile_px in (64, 112):
        assert np.array_equal(labels_of(net, image, scale=scale, tile_px=tile_px), whole)


def test_without_its_halo_a_tile_would_differ(net, sample):
    """The test above can fail."""
    image = sample["rat2_data5"][0][100:283, 200:425]
    whole = labels_of(net, image, tile_px=10_000)
    assert not np.array_equal(labels_of(net, image, tile_px=64, reach=Reach(16, 16)), whole)


@pytest.mark.parametrize("shape", [(1, 1), (17, 200), (16, 16), (33, 5)])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_any_size_is_segmented(net, shape, scale):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    labels = labels_of(net, image, scale=scale)
    assert labels.shape == shape
    assert labels.max() < 3


def test_it_tells_every_tile(net, sample):
    told = []
    labels_of(
        net,
        sample["rat2_data5"][0][:100, :150],
        tile_px=64,
        on_tile=lambda done, total: told.append((done, total)),
    )
    assert told == [(n, 6) for n in range(1, 7)]


def test_largest_is_argmax():
    numbers = np.random.default_rng(0).random((5, 20, 30)).astype(np.float32)
    numbers[2, 3] = numbers[4, 3]
    assert np.array_equal(largest(numbers), numbers.argmax(axis=0))
