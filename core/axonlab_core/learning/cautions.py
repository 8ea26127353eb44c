"""What to bear in mind with a model, in plain words: for its card and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axonlab_core.contract.model_card import ClassScores, ModelCard, Scope

NO_PIXEL_SIZE = (
    "The pixel size of some training images is unknown: all images are taken as they are, and the model will work on "
    "images of the same magnification only. Give the pixel sizes if you can."
)
NOT_MEASURED = (
    "The labels lie too close together to set some of them aside: the model is trained on all of them and its quality "
    "is not measured. Label a second place or a second image."
)
SAME_IMAGE = (
    "With one or two labelled images, the model is validated on other parts of the same images: the scores say little "
    "about other images."
)
SCOPE_IN_WORDS: Mapping[Scope, str] = {
    "other-group": "other animals (groups) than it was trained on",
    "other-image": "other images than it was trained on, of the same animal (group)",
    "same-image": "other parts of the images it was trained on, which says little about other images",
    "seen-in-training": "images it was trained on, which says nothing about other images",
}
_FEW_LABELLED_PX = 2000
_CLEARLY = 0.01
_GOOD_DICE, _POOR_F1 = 0.7, 0.5


def cautions(card: ModelCard, curve: Sequence[Mapping[str, float]] = ()) -> list[str]:
    """Sentences, the most important first; none if there is nothing to say."""
    said: list[str] = []
    if not card.split.val:
        said.append(NOT_MEASURED)
    elif card.scores.scope == "same-image":
        said.append(SAME_IMAGE)
    elif len(card.split.val) == 1:
        said.append(f"All scores come from a single image, {card.split.val[0]}: another one may give quite others.")
    if card.input.pixel_size_um is None:
        said.append(NO_PIXEL_SIZE)
    return [*said, *_about_labels(card), *_about_scores(card), *_about_time(card, curve)]


def compared(model: Mapping[str, ClassScores], otsu: Mapping[str, ClassScores], background: str) -> list[str]:
    """What the scores themselves give reason to doubt: classes that brightness alone tells better, merged objects."""
    said: list[str] = []
    for name, score in model.items():
        beside = otsu.get(name)
        if name == background or score.dice is None:
            continue
        if beside is not None and beside.dice is not None and score.dice < beside.dice + _CLEARLY:
            said.append(
                f"For {name} the model (Dice {score.dice:.2f}) is no better than Otsu's threshold ({beside.dice:.2f}), "
                "which has learned nothing. It needs more labels, or more time."
            )
        f1 = score.f1(0.5)
        if f1 is not None and score.dice >= _GOOD_DICE and f1 < _POOR_F1:
            said.append(
                f"The area of {name} agrees well (Dice {score.dice:.2f}) and its single objects do not (F1 {f1:.2f}): "
                "neighbours are merged, or small ones are missed. Do not count objects with this model."
            )
    return said


def _about_labels(card: ModelCard) -> list[str]:
    said: list[str] = []
    labelled = card.training.labelled_px
    missing = [name for name in card.palette.names if labelled and not labelled.get(name)]
    if missing:
        said.append(f"No pixel of {_and(missing)} was labelled for training: the model cannot find it.")
    few = {name: px for name, px in labelled.items() if 0 < px < _FEW_LABELLED_PX}
    if few:
        told = _and([f"{px:,} px of {name}" for name, px in few.items()])
        said.append(f"There are few labels: {told}. Label more of it, in several places that differ.")
    unmeasured = [name for name, score in card.scores.model.items() if labelled.get(name) and score.labelled_px == 0]
    if card.split.val and unmeasured:
        said.append(f"{_and(unmeasured)} does not occur in the validation labels: how well it is found is not known.")
    return said


def _about_scores(card: ModelCard) -> list[str]:
    return compared(card.scores.model, card.scores.otsu, card.palette.names[0]) if card.split.val else []


def _about_time(card: ModelCard, curve: Sequence[Mapping[str, float]]) -> list[str]:
    """Whether more time or more labels would help, as far as the course of the validation tells."""
    measured = [point["step"] for point in curve if any(name.startswith("val_dice_") for name in point)]
    best, steps = card.scores.best_step, card.training.steps
    if len(measured) < 4 or not card.split.val:  # noqa: PLR2004 (too few to see a course)
        return []
    if best >= measured[-1]:
        return ["The validation score was still rising when the time was up: a longer training may bring more."]
    if best <= steps / 2:
        return [
            (
                f"The score was best at step {best} of {steps} and fell afterwards (the best is kept): more "
                "labels will bring more than more time."
            )
        ]
    return []


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
