"""Curves as SVG, drawn on the server: no script, no picture library. Colours and line styles are the stylesheet's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40
_TICKS = 5
_STYLES = 6
"""So many colours and dashes the stylesheet has."""
_STYLE_OF = {"background": 4, "myelin": 0, "axon": 1}
"""As the overlays of our own palette have them."""


class Tick(NamedTuple):
    """A labelled place on an axis, in pixels of the picture."""

    at: float
    text: str


class Line(NamedTuple):
    """One curve: its points as SVG takes them, its last point, and which of the styles it has."""

    name: str
    path: str
    end_x: float
    end_y: float
    last: float
    style: int


class Curve(NamedTuple):
    """Everything that the template needs to draw one picture."""

    title: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    description: str
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def draw(title: str, series: Mapping[str, Sequence[tuple[int, float]]], *, top: float | None = None) -> Curve | None:
    """The picture of some curves over training steps, from zero to `top` or to their largest value; None if empty."""
    finite = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    finite = {name: points for name, points in finite.items() if points}
    if not finite:
        return None
    across = _ticks(max(x for points in finite.values() for x, _ in points), whole=True)
    up = _ticks(top if top is not None else max(y for points in finite.values() for _, y in points), whole=False)
    end_x, end_y = across[-1], up[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        return (
            round(_LEFT + (right - _LEFT) * x / end_x, 1),
            round(bottom - (bottom - _TOP) * min(max(y / end_y, 0.0), 1.0), 1),
        )

    lines: list[Line] = []
    styles = _styles(list(finite))
    for name, points in finite.items():
        placed = [place(x, y) for x, y in points]
        path = " ".join(f"{x:g},{y:g}" for x, y in placed)
        lines.append(Line(name, path, *placed[-1], points[-1][1], styles[name]))
    return Curve(
        title=title,
        lines=tuple(lines),
        across=tuple(Tick(place(value, 0)[0], f"{value:g}") for value in across),
        up=tuple(Tick(place(0, value)[1], f"{value:g}") for value in up),
        description="; ".join(f"{line.name} {line.last:.3f} after step {finite[line.name][-1][0]}" for line in lines),
    )


def _styles(names: Sequence[str]) -> dict[str, int]:
    known = {name: _STYLE_OF[name] for name in names if name in _STYLE_OF}
    free = [style for style in range(_STYLES) if style not in known.values()] or [0]
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
