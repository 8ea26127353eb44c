"""The card of a model that has learnt nothing; shared by tests and benchmarks."""

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.model_card import ModelCard
from axonlab_core.contract.palette import AXON_PALETTE


def untrained(preset):
    """A card that is complete, and says nothing true of any data."""
    return ModelCard.model_validate(
        {
            "preset": preset,
            "palette": AXON_PALETTE,
            "input": {"channels": 1, "normalisation": {}, "pixel_size_um": 0.1},
            "training": {
                "steps": 1, "seconds": 1, "batch": 2, "tile_px": 64, "learning_rate": 0.1, "seed": 0, "device": "cpu",
                "labelled_fraction": 1,
            },
            "dataset": "0" * 64,
            "split": {"train": ["a"], "val": ["b"], "scope": "other-image"},
            "scores": {"scope": "other-image", "model": {}, "otsu": {}, "best_step": 1},
            "created_at": utc_now(),
            "software": {},
        }
    )  # fmt: skip
