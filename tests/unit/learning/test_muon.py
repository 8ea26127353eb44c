import pytest
import torch

from axonlab_core.learning.muon import Muon, new_optimisers, orthogonalised, set_share
from axonlab_core.learning.presets import PRESETS
from axonlab_core.learning.unet import new_side_heads, new_unet

WIDTHS = PRESETS["tiny"].widths


@pytest.mark.parametrize("shape", [(16, 144), (64, 32), (20, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_come_close_to_one(shape, dtype):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    values = torch.linalg.svdvals(orthogonalised(matrix).float())
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_directions_stay_as_they_are():
    matrix = torch.randn(30, 50, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.nn.functional.cosine_similarity(orthogonalised(matrix).ravel(), (u @ v).ravel(), dim=0) > 0.97


def test_every_weight_has_one_optimiser():
    net, side = new_unet(1, 3, WIDTHS, 0), new_side_heads(3, WIDTHS, 0, deep=True)
    muon, rest = new_optimisers(net, side, 0.02, "float32")
    held = [id(p) for optimiser in (muon, rest) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in (*net.parameters(), *side.parameters()))
    matrices = {id(p) for group in muon.param_groups for p in group["params"]}
    names = {name for name, p in net.named_parameters() if id(p) in matrices}
    assert "encoder.0.conv2.weight" in names
    assert "decoder.3.around.weight" in names
    assert not names & {"encoder.0.conv1.weight", "encoder.0.around.weight", "head.weight", "encoder.1.norm1.weight"}


def test_the_rate_of_all_follows_the_share():
    optimisers = new_optimisers(new_unet(1, 3, WIDTHS, 0), new_side_heads(3, (), 0, deep=False), 0.05, "float32")
    set_share(optimisers, 0.5)
    assert [o.param_groups[0]["lr"] for o in optimisers] == [pytest.approx(0.025), pytest.approx(0.003)]


def test_it_finds_a_minimum():
    goal = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.nn.Parameter(torch.zeros_like(goal))
    optimiser = Muon([weight], lr=0.1, precision="float32", weight_decay=0)
    for step in range(200):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        loss = (weight - goal).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.01
