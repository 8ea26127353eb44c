"""The training on a GPU: float16, batches made ahead, a checkpoint, too little memory, the same model on a CPU."""

import numpy as np
import pytest
import torch

import workspaces
from axonlab_core.contract.events import CheckpointEvent, MetricEvent, WarningEvent
from axonlab_core.contract.model_card import Normalisation
from axonlab_core.learning.infer import Reach, predict
from axonlab_core.learning.model_file import load_model
from axonlab_core.learning.normalise import measure
from axonlab_core.learning.presets import PRESETS
from axonlab_core.learning.stopping import Interrupted
from axonlab_core.learning.train import train
from axonlab_core.learning.unet import folded


def rings(seed, size=256):
    """Bright rings around dark discs on grey: pixels and labels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint8)
    for cy, cx in rng.integers(20, size - 20, (40, 2)):
        away = np.hypot(y - cy, x - cx)
        labels[away < 12] = 1
        labels[away < 8] = 2
    pixels = np.array([110, 200, 60])[labels] + rng.normal(0, 25, labels.shape)
    return pixels.clip(0, 255).astype(np.uint8), labels


@pytest.fixture
def workspace(tmp_path):
    images = {
        f"image{seed}": (*rings(seed), {"pixel_size_um": 0.1, "split": "val" if seed == 2 else "train"})
        for seed in range(3)
    }
    return workspaces.lay_out(tmp_path, images)


@pytest.mark.parametrize("preset", ["tiny", "standard"])
def test_it_learns_in_float16_and_the_model_works_on_a_cpu(workspace, preset):
    result = train(workspace, preset=preset, steps=60, batch=4, tile_px=128, report=[].append)
    assert (result.card.training.device, result.card.training.precision) == ("cuda:0", "float16")
    assert result.card.scores.model["axon"].dice > 0.8
    model = load_model(workspace / "results" / "model" / "model.safetensors")
    pixels, _ = rings(7)
    on = {
        device: predict(
            folded(model.net).to(device),
            pixels,
            reach=Reach(PRESETS[preset].halo_px, PRESETS[preset].stride_px),
            brightness=measure(pixels, Normalisation()),
            scale=1.0,
        ).labels
        for device in ("cpu", "cuda")
    }
    assert (on["cpu"] == on["cuda"]).mean() > 0.99


def test_a_stopped_training_goes_on(workspace):
    events = []

    def report(event):
        events.append(event)
        if isinstance(event, MetricEvent) and event.step == 20:
            import signal

            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(workspace, steps=40, batch=4, tile_px=128, report=report)
    assert isinstance(events[-1], CheckpointEvent)
    resumed = []
    result = train(workspace, steps=40, batch=4, tile_px=128, report=resumed.append)
    assert min(e.step for e in resumed if isinstance(e, MetricEvent)) > 20
    assert result.curve[-1]["loss"] < result.curve[0]["loss"]


def test_with_too_little_memory_it_goes_on_with_less(workspace):
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 1.5e9) / total)
    events = []
    try:
        result = train(workspace, preset="standard", steps=6, batch=64, tile_px=256, report=events.append)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("Memory ran out" in e.message for e in events if isinstance(e, WarningEvent))
    assert result.card.training.batch < 64
