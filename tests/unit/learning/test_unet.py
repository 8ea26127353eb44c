import pytest
import torch

from axonlab_core.contract.errors import BadInput
from axonlab_core.learning.presets import PRESETS, find_preset
from axonlab_core.learning.unet import folded, new_side_heads, new_unet

TINY = PRESETS["tiny"]


def used_net(seed=0, channels=1):
    """A network whose batch norms have seen something, as after a training."""
    net = new_unet(channels, 3, TINY.widths, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.nn.init.normal_(net.head.weight)
        for _ in range(5):
            net(torch.randn(2, channels, 64, 64))
    return net.eval()


def test_two_million_parameters():
    assert sum(p.numel() for p in new_unet(1, 3, TINY.widths, 0).parameters()) == pytest.approx(2.0e6, rel=0.05)


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 5)])
def test_a_score_for_every_class_and_pixel(channels, classes):
    net = new_unet(channels, classes, TINY.widths, 0).eval()
    assert net(torch.zeros(2, channels, 48, 80)).shape == (2, classes, 48, 80)


def test_the_names_of_the_tensors_are_a_public_format():
    keys = set(new_unet(1, 3, TINY.widths, 0).state_dict())
    assert {key.split(".")[0] for key in keys} == {"encoder", "up", "decoder", "head"}
    block = {f"{c}.weight" for c in ("conv1", "conv2", "around", "norm1", "norm2")} | {"around.bias"}
    block |= {f"{n}.{b}" for n in ("norm1", "norm2") for b in ("bias", "running_mean", "running_var")}
    counters = {f"{n}.num_batches_tracked" for n in ("norm1", "norm2")}
    assert {key.removeprefix("encoder.4.") for key in keys if key.startswith("encoder.4.")} == block | counters
    assert {"up.0.weight", "up.3.bias", "head.weight", "head.bias", "decoder.3.conv2.weight"} <= keys


def test_the_seed_decides_the_weights_and_leaves_the_process_alone():
    before = torch.random.get_rng_state()
    one, two, other = (new_unet(1, 3, TINY.widths, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["encoder.2.conv1.weight"], other["encoder.2.conv1.weight"])


def test_folding_batch_norm_changes_nothing_but_the_speed():
    net, x = used_net(), torch.randn(1, 1, 64, 64)
    quick = folded(net)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in quick.modules())
    with torch.inference_mode():
        assert torch.allclose(quick(x), net(x), atol=1e-4)
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())


def test_the_halo_is_as_wide_as_the_network_sees():
    """A pixel further away than the halo changes nothing; one well within it does."""
    assert TINY.halo_px == 96
    net = folded(used_net())
    plain = torch.zeros(1, 1, 32, 320)
    with torch.inference_mode():
        before = net(plain)

        def changed(column):
            disturbed = plain.clone()
            disturbed[..., column] = 1000
            return (net(disturbed) != before).any(dim=(0, 1, 2)).nonzero().ravel()

        # The tile's middle begins at 160, a multiple of 16.
        assert changed(160 - TINY.halo_px - 1).max() < 160
        assert changed(160 - TINY.halo_px + 8).max() >= 160
        assert changed(175 + TINY.halo_px + 1).min() > 175


def test_an_unknown_preset_is_refused_with_the_list():
    with pytest.raises(BadInput, match="tiny"):
        find_preset("huge")


def test_standard_is_a_preset_of_its_own():
    net = new_unet(1, 3, PRESETS["standard"].widths, 0)
    assert sum(p.numel() for p in net.parameters()) > 15e6
    assert PRESETS["standard"].stride_px == 32


def test_side_heads_score_lower_resolutions_and_are_no_part_of_the_network():
    net, x = new_unet(1, 3, TINY.widths, 0), torch.randn(2, 1, 64, 32)
    before = set(net.state_dict())
    decoded = net.decoded(x)
    assert [s.shape for s in new_side_heads(3, TINY.widths, 0, deep=True)(decoded)] == [
        (2, 3, 32, 16),
        (2, 3, 16, 8),
        (2, 3, 8, 4),
    ]
    assert new_side_heads(3, TINY.widths, 0, deep=False)(decoded) == []
    assert set(net.state_dict()) == before
