"""A model's scores beside those of Otsu's threshold, which learns nothing."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from axonlab_core.contract.base import Value
from axonlab_core.contract.model_card import ClassScores

_HEADER = ("class", "Dice", "Dice of Otsu", "F1 of objects", "F1 of Otsu")


class Comparison(Value):
    """Scores by class, of model and threshold on the same pixels."""

    measured_on: str
    """In words."""
    model: dict[str, ClassScores]
    otsu: dict[str, ClassScores]

    def rows(self) -> list[tuple[str, ...]]:
        """Class, Dice and F1 of objects (at an IoU of 0.5) of model and threshold, ready to print."""
        return [
            (name, *_both(score, self.otsu.get(name), _dice), *_both(score, self.otsu.get(name), _f1))
            for name, score in self.model.items()
        ]

    def __str__(self) -> str:
        return f"Measured on {self.measured_on}:\n{text_table(_HEADER, self.rows())}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>Measured on {html.escape(self.measured_on)}:</p>{html_table(_HEADER, self.rows())}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text in columns, the first line being the header."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as an HTML table."""
    # JupyterLab puts cells at the right, as numbers want it; most of ours are words.
    left = 'style="text-align: left"'
    head = "".join(f"<th {left}>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td {left}>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def number(value: float | None) -> str:
    """A score, ready to print."""
    return "–" if value is None else f"{value:.3f}"


def _both(
    model: ClassScores, otsu: ClassScores | None, value: Callable[[ClassScores], float | None]
) -> tuple[str, str]:
    return number(value(model)), number(None if otsu is None else value(otsu))


def _dice(score: ClassScores) -> float | None:
    return score.dice


def _f1(score: ClassScores) -> float | None:
    return score.f1(0.5)
