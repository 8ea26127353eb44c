import pytest
import torch

from axonlab_core.learning.checkpoint import Checkpoint, load_newest, save_checkpoint
from axonlab_core.learning.presets import PRESETS
from axonlab_core.learning.schedule import Plan
from axonlab_core.learning.training_state import new_state
from axonlab_core.learning.unet import new_side_heads, new_unet


def some_checkpoint(step, spec="mine"):
    return Checkpoint({"a": torch.full((3,), float(step))}, {"spec_sha256": spec, "step": step})


def newest(folder, warnings=None):
    return load_newest(folder, spec_sha256="mine", warn=[].append if warnings is None else warnings.append)


def test_an_empty_or_missing_folder_has_none(tmp_path):
    assert newest(tmp_path) is None
    assert newest(tmp_path / "none") is None


def test_the_two_newest_are_kept_and_the_newest_is_found(tmp_path):
    for step in (5, 20, 100):
        save_checkpoint(tmp_path, step, some_checkpoint(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-00000020.safetensors",
        "checkpoint-00000100.safetensors",
    ]
    found = newest(tmp_path)
    assert found.meta["step"] == 100
    assert torch.equal(found.tensors["a"], torch.full((3,), 100.0))


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: d[:0], lambda d: b"\x00" * len(d)])
def test_a_damaged_one_is_passed_over_and_said(tmp_path, damage):
    save_checkpoint(tmp_path, 5, some_checkpoint(5))
    path = save_checkpoint(tmp_path, 9, some_checkpoint(9))
    path.write_bytes(damage(path.read_bytes()))
    warnings = []
    assert newest(tmp_path, warnings).meta["step"] == 5
    assert "checkpoint-00000009" in warnings[0]


def test_one_of_another_training_is_passed_over_and_said(tmp_path):
    save_checkpoint(tmp_path, 5, some_checkpoint(5, spec="another"))
    warnings = []
    assert newest(tmp_path, warnings) is None
    assert "belongs to another training" in warnings[0]


def test_a_file_that_was_not_finished_is_no_checkpoint(tmp_path):
    (tmp_path / "checkpoint-00000009.safetensors.part").write_bytes(b"half")
    assert newest(tmp_path) is None


@pytest.mark.parametrize("deep", [False, True])
def test_a_state_comes_back_whole(tmp_path, deep):
    widths = PRESETS["tiny"].widths

    def state():
        return new_state(
            new_unet(1, 3, widths, 0),
            new_side_heads(3, widths, 0, deep=deep),
            learning_rate=0.01,
            precision="float32",
            batch=4,
            tile_px=64,
            plan=None,
        )

    def step(trained):
        rng = torch.Generator().manual_seed(trained.step)
        decoded = trained.net.decoded(torch.randn(2, 1, 32, 32, generator=rng))
        scored = [trained.net.head(decoded[0]), *trained.side(decoded)]
        sum(scores.square().mean() for scores in scored).backward()
        for optimiser in trained.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        trained.step += 1

    one = state()
    step(one)
    one.plan, one.best_score, one.losses, one.curve = Plan(steps=7, since=1), 0.5, [1.0], [{"step": 1.0, "loss": 2.0}]
    one.batch, one.tile_px = 2, 32
    save_checkpoint(tmp_path, one.step, one.checkpoint("mine"))
    two = state()
    two.restore(newest(tmp_path))
    for name in ("step", "plan", "best_score", "losses", "curve", "batch", "tile_px"):
        assert getattr(two, name) == getattr(one, name)
    step(one)
    step(two)
    assert same_weights(one.net, two.net)
    assert same_weights(one.side, two.side)
    assert not same_weights(one.net, state().net)


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
