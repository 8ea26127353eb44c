"""Draws docs/pictures/recipe.svg from tests/bench/results/recipe.jsonl: `python tests/bench/plot_recipe.py`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import mean

import axon_sem
import matplotlib as mpl
from recipe import RESULTS

mpl.use("svg")
from matplotlib import pyplot as plt

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "recipe.svg"
SHOWN = {
    ("axonlab", "dense"): ("Axonlab, preset tiny", "#0b6e4f", "o-"),
    ("axonlab", "strokes"): ("Axonlab, strokes on 2 % of the pixels", "#0b6e4f", "s"),
    ("monai", "dense"): ("MONAI U-Net, as in its tutorials", "#3a5a98", "^--"),
    ("forest", "dense"): ("random forest on multiscale features", "#8a6d3b", "v"),
}
LIMITS = {"axon": (0.65, 0.92), "myelin": (0.7, 0.86), "axon_f1": (0, 0.8)}
"""Strokes with "unlabelled = background" would lie far below: they are in the table."""


def main() -> None:
    """One panel for each score; lines join the means over seeds, points are single trainings."""
    found = defaultdict(list)
    for row in axon_sem.rows(RESULTS):
        # The forest is ready long before its time is over.
        minutes = round(row["cpu_s"] / 60, 1) if row["method"] == "forest" else row["minutes"]
        found[row["method"], row["labels"], minutes].append(row)
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for panel, (score, title) in zip(
        panels, {"axon": "axon Dice", "myelin": "myelin Dice", "axon_f1": "axon objects, F1 at IoU 0.5"}.items(),
        strict=True,
    ):  # fmt: skip
        for (method, labels), (name, colour, style) in SHOWN.items():
            budgets = sorted(minutes for m, kind, minutes in found if (m, kind) == (method, labels))
            rows = [found[method, labels, minutes] for minutes in budgets]
            if rows:
                values = [mean(row[score] for row in same) for same in rows]
                panel.plot(budgets, values, style, color=colour, label=name)
                for minutes, same in zip(budgets, rows, strict=True):
                    panel.plot([minutes] * len(same), [r[score] for r in same], ".", color=colour, alpha=0.4, ms=4)
        panel.set(xlabel="CPU minutes of training", title=title, xlim=(0, 6.5), ylim=LIMITS[score])
        panel.grid(visible=True, alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
