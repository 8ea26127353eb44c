import pytest
import torch

from axonlab_core.learning.loss import deep_loss, segmentation_loss


def sparse_labels(coverage, seed=0):
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (2, 64, 64), generator=rng)
    return labels.where(torch.rand(labels.shape, generator=rng) < coverage, 255)


def sure_of(labels, *, elsewhere):
    """Logits that are certain and right where there is a label; `elsewhere` where there is none."""
    right = torch.nn.functional.one_hot(labels.where(labels != 255, 0), 3).movedim(-1, 1).float() * 40
    return torch.where((labels != 255)[:, None], right, elsewhere)


@pytest.mark.parametrize("coverage", [0.02, 0.1, 1.0])
def test_a_perfect_prediction_costs_nothing_however_little_is_labelled(coverage):
    labels = sparse_labels(coverage)
    assert segmentation_loss(sure_of(labels, elsewhere=torch.tensor(0.0)), labels) < 1e-4
    assert segmentation_loss(sure_of(labels, elsewhere=torch.randn(2, 3, 64, 64) * 9), labels) < 1e-4


def test_a_wrong_prediction_costs_a_lot():
    labels = sparse_labels(0.02)
    wrong = sure_of((labels + 1).remainder(3).where(labels != 255, 255), elsewhere=torch.tensor(0.0))
    assert segmentation_loss(wrong, labels) > 5


def test_unknown_pixels_teach_nothing():
    labels = sparse_labels(0.1)
    logits = torch.randn(2, 3, 64, 64, requires_grad=True)
    segmentation_loss(logits, labels).backward()
    moved = (logits.grad != 0).any(dim=1)
    assert torch.equal(moved, labels != 255)


def test_a_batch_without_labels_costs_nothing_and_breaks_nothing():
    logits = torch.randn(1, 3, 16, 16, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 16, 16), 255))
    loss.backward()
    assert loss == 0
    assert torch.isfinite(logits.grad).all()


def test_a_class_that_a_batch_lacks_does_not_count():
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    assert segmentation_loss(sure_of(labels, elsewhere=torch.tensor(0.0)), labels) < 1e-4


@pytest.mark.parametrize("coverage", [0.02, 1.0])
def test_deep_supervision_asks_for_the_same_at_lower_resolutions(coverage):
    labels = sparse_labels(coverage)
    nothing = torch.tensor(0.0)

    def sides(shift):
        seen = [labels[:, 1::2, 1::2], labels[:, 2::4, 2::4]]
        return [sure_of((low + shift).remainder(3).where(low != 255, 255), elsewhere=nothing) for low in seen]

    full = sure_of(labels, elsewhere=nothing)
    assert deep_loss(full, sides(0), labels) < 1e-4
    assert deep_loss(full, sides(1), labels) > 1
    assert deep_loss(full, [], labels) == segmentation_loss(full, labels)
