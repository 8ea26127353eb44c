import copy

import numpy as np
import pytest
import torch

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import Normalisation
from axonlab_core.learning.infer import CELL_PX, Reach, largest, predict
from axonlab_core.learning.normalise import measure, normalise
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
    return predict(net, image, **{"reach": REACH, "brightness": brightness, "scale": 1.0, **options}).labels


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


@pytest.mark.parametrize("tile_px", [64, 10_000])
def test_doubt_is_the_distance_between_the_likeliest_classes(net, sample, tile_px):
    image = sample["rat2_data5"][0][100:196, 200:328]
    brightness = measure(image, Normalisation())
    found = predict(net, image, reach=REACH, brightness=brightness, scale=1.0, tile_px=tile_px)
    with torch.inference_mode():
        probability = net(torch.from_numpy(normalise(image, brightness)[None, None, :, :, 0]))[0].softmax(0).numpy()
    second, best = np.sort(probability, axis=0)[-2:]
    cells = (1 - (best - second)).reshape(96 // CELL_PX, CELL_PX, 128 // CELL_PX, CELL_PX).mean(axis=(1, 3))
    assert np.allclose(found.doubt, cells, atol=1e-4)


def test_doubt_of_cells_that_reach_over_the_edge(net):
    image = np.random.default_rng(0).integers(0, 255, (17, 40)).astype(np.uint8)
    doubt = predict(net, image, reach=REACH, brightness=measure(image, Normalisation()), scale=0.5).doubt
    assert doubt.shape == (2, 3)
    assert ((doubt > 0) & (doubt <= 1)).all()


def test_weights_that_are_not_numbers_are_refused(net, sample):
    damaged = copy.deepcopy(net)
    with torch.no_grad():
        damaged.head.bias.fill_(float("nan"))
    with pytest.raises(BadInput, match="not numbers"):
        labels_of(damaged, sample["rat2_data5"][0][:64, :64])
