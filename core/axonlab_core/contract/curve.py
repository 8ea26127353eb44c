"""Loss and Dice over the steps of a training, and their pictures: the same in the card, on the page and in plain HTML.

The pictures are SVG with a legend, complete without a stylesheet; one may give `.style-0` to `.style-5` other colours
for a dark background. Lines are told apart by their dashes as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from axonlab_core.contract.events import Event, MetricEvent

LOSS = "loss"
DICE = "val_dice_"
_MOST_KEPT = 1000
_MOST_DRAWN = 300
_TICKS = 5
_WIDTH, _HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 8, 10, 40
_STYLES = (
    ("#0072b2", ""),
    ("#b85c00", "9 5"),
    ("#00795a", "2 6"),
    ("#9c3d7a", "12 4 2 4"),
    ("#5b6770", "5 3"),
    ("#7a6a00", "14 6"),
)
_STYLE_OF = {"background": 4, "myelin": 0, "axon": 1}
"""As the overlays of our own palette have them."""

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
                points = self.values.setdefault(name, {})
                points[metric.step] = value
                if len(points) > _MOST_KEPT:
                    # Every second one of the older half goes: a picture a thousand pixels wide cannot show them.
                    for old in sorted(points)[1 : _MOST_KEPT // 2 : 2]:
                        del points[old]

    def copy(self) -> Curves:
        """The same values, which stay as they are while these grow."""
        return Curves({name: dict(points) for name, points in self.values.items()})

    def points(self, name: str) -> list[tuple[int, float]]:
        """Step and value, by step."""
        return sorted(self.values.get(name, {}).items())

    @property
    def dice(self) -> dict[str, list[tuple[int, float]]]:
        """Points of the validation Dice, by class."""
        return {name.removeprefix(DICE): self.points(name) for name in self.values if name.startswith(DICE)}


def curves_html(curves: Curves) -> str:
    """A `<figure>` of the loss and one of the Dice, each with its legend; empty if there is nothing to draw."""
    return figure("Loss", {"loss": curves.points(LOSS)}) + figure(
        "Dice on the validation images", curves.dice, highest=1.0
    )


def figure(title: str, series: Mapping[str, Points], *, highest: float | None = None) -> str:
    """The picture of some curves over steps, from zero to `highest` or to their largest value; empty if there are none.

    What is not finite is left out.
    """
    finite = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    finite = {name: points for name, points in finite.items() if points}
    if not finite:
        return ""
    across = _ticks(max(points[-1][0] for points in finite.values()), whole=True)
    up = _ticks(highest or max(y for points in finite.values() for _, y in points), whole=False)
    styles = _styles(list(finite))
    lines = "".join(_line(_placed(points, across[-1], up[-1]), styles[name]) for name, points in finite.items())
    said = "; ".join(f"{name} {points[-1][1]:.3f} after step {points[-1][0]}" for name, points in finite.items())
    legend = "".join(_legend(name, points[-1][1], styles[name]) for name, points in finite.items())
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" '
        f'aria-label="{html.escape(f"{title} over training steps: {said}")}" fill="currentColor" '
        f'font-family="sans-serif" font-size="14">{_axes(across, up)}{lines}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def _placed(points: Points, last: float, highest: float) -> list[tuple[float, float]]:
    """Where the points are in the picture; of very many, evenly spread ones and the last."""
    stride = -(-len(points) // _MOST_DRAWN)
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return [
        (round(_LEFT + wide * x / last, 1), round(_TOP + high * (1 - min(max(y / highest, 0.0), 1.0)), 1))
        for x, y in [*points[:-1:stride], points[-1]]
    ]


def _line(points: Sequence[tuple[float, float]], style: int) -> str:
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    x, y = points[-1]
    colour = _STYLES[style][0]
    return (
        f'<polyline class="style-{style}" points="{path}" {_stroke(style)}/>'
        f'<circle class="dot style-{style}" cx="{x:g}" cy="{y:g}" r="3.5" fill="none" stroke="{colour}" '
        'stroke-width="2.2"/>'
    )


def _legend(name: str, latest: float, style: int) -> str:
    sample = f'<line class="style-{style}" x1="0" x2="28" y1="4" y2="4" {_stroke(style)}/>'
    return (
        f'<li><svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">{sample}</svg> '
        f"{html.escape(name)} <b>{latest:.3f}</b></li>"
    )


def _stroke(style: int) -> str:
    colour, dash = _STYLES[style]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{colour}" stroke-width="2.2" stroke-linejoin="round"{dashed}'


def _axes(across: Sequence[float], up: Sequence[float]) -> str:
    """Grid and numbers: values at the left, steps below."""
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts: list[str] = []
    for value in up:
        ((_, y),) = _placed([(0, value)], 1, up[-1])
        grid = f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:g}" y2="{y:g}" '
        parts.append(f'{grid}stroke="currentColor" stroke-opacity="0.25"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:g}" text-anchor="end">{value:g}</text>')
    for value in across:
        ((x, _),) = _placed([(value, 0)], across[-1], 1)
        anchor = "end" if value == across[-1] else "middle"
        parts.append(f'<text x="{x:g}" y="{floor + 18}" text-anchor="{anchor}">{value:g}</text>')
    parts.append(f'<text x="{(_LEFT + right) / 2:g}" y="{_HEIGHT - 4}" text-anchor="middle">steps</text>')
    return "".join(parts)


def _styles(names: Sequence[str]) -> dict[str, int]:
    known = {name: _STYLE_OF[name] for name in names if name in _STYLE_OF}
    free = [style for style in range(len(_STYLES)) if style not in known.values()]
    others = [name for name in names if name not in known]
    return known | {name: free[number % len(free)] for number, name in enumerate(others)}


def _ticks(largest: float, *, whole: bool) -> list[float]:
    """Round numbers from 0 to at least `largest`.

    Examples
    --------
    >>> _ticks(80, whole=True)
    [0.0, 20.0, 40.0, 60.0, 80.0]
    """
    largest = largest if largest > 0 else 1.0
    rough = largest / (_TICKS - 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= rough * (1 - 1e-9))
    if whole:
        step = float(math.ceil(step))
    return [round(step * n, 10) for n in range(math.ceil(largest / step - 1e-9) + 1)]
