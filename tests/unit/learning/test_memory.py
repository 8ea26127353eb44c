import pytest
import torch

from axonlab_core.contract.events import WarningEvent
from axonlab_core.learning import train as training
from axonlab_core.learning.memory import less_memory, ran_out_of_memory
from axonlab_core.learning.train import train
from axonlab_core.learning.unet import new_unet


def test_first_the_batch_then_the_tile():
    sizes, now = [], (8, 384)
    while now is not None:
        sizes.append(now)
        now = less_memory(*now, stride_px=32)
    assert sizes == [(8, 384), (4, 384), (2, 384), (2, 192), (2, 96)]
    assert less_memory(2, 96, stride_px=16) is None


def test_only_want_of_memory_counts():
    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out_of_memory(caught.value)
    assert not ran_out_of_memory(RuntimeError("shapes do not match"))


def crowded(most_px):
    """A machine without memory for more than so many pixels: a real network that fails as torch does."""

    def make(*args):
        net = new_unet(*args)

        def look(module, inputs):
            if inputs[0].requires_grad is False and inputs[0].shape[0] * inputs[0].shape[2] ** 2 > most_px:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        net.encoder[0].register_forward_pre_hook(look)
        return net

    return make


def test_a_training_goes_on_with_less_and_its_card_says_so(make_workspace, two_animals, monkeypatch):
    monkeypatch.setattr(training, "new_unet", crowded(2 * 64**2))
    events = []
    result = train(make_workspace(two_animals), steps=3, batch=8, tile_px=128, threads=1, report=events.append)
    said = [e.message for e in events if isinstance(e, WarningEvent)]
    assert [message.split(":")[0] for message in said] == [
        "Memory ran out at 8 tiles of 128 px",
        "Memory ran out at 4 tiles of 128 px",
        "Memory ran out at 2 tiles of 128 px",
    ]
    assert (result.card.training.batch, result.card.training.tile_px, result.card.training.steps) == (2, 64, 3)


def test_where_nothing_can_be_made_smaller_the_error_stays(make_workspace, two_animals, monkeypatch):
    monkeypatch.setattr(training, "new_unet", crowded(10))
    with pytest.raises(torch.OutOfMemoryError):
        train(make_workspace(two_animals), steps=3, batch=2, tile_px=64, threads=1, report=[].append)
