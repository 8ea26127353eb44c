"""Loss and Dice over the steps of a training, as one small SVG for the card; the page draws two larger ones."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from axonlab_core.contract.events import Event, MetricEvent

LOSS = "loss"
DICE = "val_dice_"
_MOST_POINTS = 300
_WIDTH, _HEIGHT = 560, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 170, 10, 24
_LABEL_APART = 13
_NAME_CHARACTERS = 14
_DASHES = ("7 3", "2 3", "9 3 2 3", "4 2", "1 2")
_COLOURS = ("#1a6fb5", "#b5480f", "#2a7d46", "#7d3c98", "#8a6d00")
_LOSS_COLOUR = "currentColor"

Points = Sequence[tuple[float, float]]


@dataclass
class Curves:
    """Values by training step, as the metric events say them; a resumed run replaces what it repeats."""

    values: dict[str, dict[int, float]] = field(default_factory=dict)

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events; those that are no metrics say nothing here."""
        for event in events:
            if isinstance(event.body, MetricEvent):
                self.add(event.body)

    def add(self, metric: MetricEvent) -> None:
        """Take in the numbers of one step."""
        for name, value in metric.values.items():
            if name == LOSS or name.startswith(DICE):
                self.values.setdefault(name, {})[metric.step] = value

    def points(self, name: str) -> list[tuple[float, float]]:
        """Step and value, by step."""
        return sorted(self.values.get(name, {}).items())

    @property
    def dice(self) -> dict[str, list[tuple[float, float]]]:
        """Points of the validation Dice, by class."""
        return {name.removeprefix(DICE): self.points(name) for name in self.values if name.startswith(DICE)}

    def latest(self) -> dict[str, float]:
        """The latest value of each curve, by what people call it: loss, then Dice by class."""
        loss = self.points(LOSS)
        found = {"loss": loss[-1][1]} if loss else {}
        return found | {f"Dice {name}": points[-1][1] for name, points in self.dice.items()}

    def in_words(self) -> str:
        """The latest values in a line; empty if there are none."""
        return ", ".join(
            f"{name} {value:.3f}" if name == "loss" else f"{name} {value:.2f}" for name, value in self.latest().items()
        )


def curve_svg(curves: Curves) -> str:
    """An inline SVG of loss (left scale) and Dice (right scale, 0 to 1); empty if there is nothing to draw.

    Told apart by dashes and by names at the end of each line, not by colour alone.
    """
    loss, dice = curves.points(LOSS), curves.dice
    drawn = [*loss, *(point for points in dice.values() for point in points)]
    if not drawn:
        return ""
    first, last = min(step for step, _ in drawn), max(step for step, _ in drawn)
    lowest, highest = _range([value for _, value in loss])
    lines: list[tuple[str, str, str, Points]] = []
    if loss:
        lines.append((f"loss {loss[-1][1]:.3f}", _LOSS_COLOUR, "", _placed(loss, first, last, lowest, highest)))
    for n, (name, points) in enumerate(dice.items()):
        shown = name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"
        label = f"Dice {shown} {points[-1][1]:.2f}"
        at = _placed(points, first, last, 0.0, 1.0)
        lines.append((label, _COLOURS[n % len(_COLOURS)], _DASHES[n % len(_DASHES)], at))
    said = f"Training curves from step {first:.0f} to {last:.0f}; latest: {curves.in_words()}."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{html.escape(said)}" font-family="sans-serif" font-size="11" '
        f'fill="currentColor"><title>{html.escape(said)}</title>'
        f"{_axes(first, last, (lowest, highest) if loss else None, with_dice=bool(dice))}{_drawn(lines)}</svg>"
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    lowest, highest = min(0.0, *finite), max(finite)
    return lowest, highest if highest > lowest else lowest + 1.0


def _placed(points: Points, first: float, last: float, lowest: float, highest: float) -> Points:
    """Where the points are in the picture; of very many, evenly spread ones and the last."""
    stride = -(-len(points) // _MOST_POINTS)
    kept = [*points[:-1:stride], points[-1]]
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return [
        (
            _LEFT + wide * ((step - first) / (last - first) if last > first else 0.5),
            _TOP + high * (1 - min(1.0, max(0.0, (value - lowest) / (highest - lowest)))),
        )
        for step, value in kept
        if math.isfinite(value)
    ]


def _drawn(lines: Sequence[tuple[str, str, str, Points]]) -> str:
    """The lines with their names at the end, moved apart where they would cover one another."""
    shown: list[str] = []
    below = -math.inf
    for label, colour, dash, points in sorted(lines, key=lambda line: line[3][-1][1] if line[3] else 0.0):
        if not points:
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        shown.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dashed}/>')
        x, y = points[-1]
        shown.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>')
        below = max(y + 4, below + _LABEL_APART)
        shown.append(f'<text x="{_WIDTH - _RIGHT + 24}" y="{below:.1f}" fill="{colour}">{html.escape(label)}</text>')
    return "".join(shown)


def _axes(first: float, last: float, loss: tuple[float, float] | None, *, with_dice: bool) -> str:
    """Frame and scales: the loss at the left, the Dice at the right, steps below."""
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    frame = f'x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{floor - _TOP}"'
    parts = [
        f'<rect {frame} fill="none" stroke="currentColor" stroke-opacity="0.3"/>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">step {first:.0f}</text>',
        f'<text x="{right}" y="{_HEIGHT - 8}" text-anchor="end">{last:.0f}</text>',
    ]
    if loss is not None:
        for value, y in ((loss[1], _TOP + 9), (loss[0], floor)):
            parts.append(f'<text x="{_LEFT - 4}" y="{y}" text-anchor="end">{value:.3g}</text>')
    if with_dice:
        parts += [f'<text x="{right + 4}" y="{y}">{value}</text>' for value, y in ((1, _TOP + 9), (0, floor))]
    return "".join(parts)
