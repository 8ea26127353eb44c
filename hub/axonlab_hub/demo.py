"""The main job, once, as a student does it: log in, start a server, run the first lesson, look at what came out."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from tqdm import tqdm

from axonlab_hub.settings import Settings
from axonlab_hub.up import Classroom, open_classroom
from axonlab_hub.visit import CellFailed, Kernel, Visit, text_of

STUDENT = "ana"
LESSON = "lessons/01_first_model.ipynb"
DONE = "lessons/01_first_model.done.ipynb"
_CELL_TIMEOUT_S = 900.0

# Runs after the lesson, in its kernel: what the lesson left in its variables, copied to where a person finds it.
_COLLECT = """
import json
from pathlib import Path
_folder = Path("../results") / training.id
print(json.dumps({
    "model": str(model.save(_folder / "first_model").folder.resolve()),
    "segmentation": str(result.save(_folder / "rat2").folder.resolve()),
    "names": list(result.names),
    "scores": result.scores.model_dump(mode="json"),
}))
"""


class Stages:
    """How long each stage took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds: list[tuple[str, float]] = []
        self._say = say

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A block that is one stage."""
        self._say(f"• {name} …")
        begun = time.monotonic()
        yield
        self.seconds.append((name, time.monotonic() - begun))


def demo(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Run the first lesson through hub, server, service, runner and storage, and say what came out.

    Raises
    ------
    CellFailed
        If a cell of the lesson fails.
    PlatformError
        If a part does not come up.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl+C: everything is stopped in order
    begun = time.monotonic()
    stages = Stages(say)
    with ExitStack() as stack:
        with stages.stage("starting JupyterHub, the service and a runner"):
            room = stack.enter_context(open_classroom(settings))
        found = _lesson(room, stages)
    _tell(room, found, stages, time.monotonic() - begun, say)


def _lesson(room: Classroom, stages: Stages) -> dict[str, Any]:
    """What the lesson found, run in the student's own server."""
    with stages.stage(f"logging in as {STUDENT}, starting the student's own server"):
        visit = Visit(room.url, STUDENT, room.passwords["student"])
        visit.start_server()
    with visit:
        lesson = visit.read_notebook(LESSON)
        with visit.kernel(LESSON) as kernel:
            with stages.stage("running the lesson: look, train for two minutes, segment the unseen animal, measure"):
                try:
                    run_cells(kernel, lesson)
                finally:
                    visit.write_notebook(DONE, lesson)
            with stages.stage("collecting the results"):
                last = nbformat.v4.new_code_cell(_COLLECT)
                kernel.execute(last, timeout_s=_CELL_TIMEOUT_S)
        visit.stop_server()
    return json.loads(text_of(last))


def run_cells(kernel: Kernel, notebook: NotebookNode) -> None:
    """Execute every code cell, with a bar that moves while one is at work.

    Raises
    ------
    CellFailed
        With the cell's number.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    form = "  cell {n} of {total}, {elapsed}: {postfix}"
    with tqdm(total=len(cells), bar_format=form, file=sys.stderr, leave=False, disable=None) as bar:
        for number, cell in enumerate(cells, start=1):
            bar.set_postfix_str(cell.source.strip().splitlines()[-1][:70])
            try:
                kernel.execute(cell, timeout_s=_CELL_TIMEOUT_S, on_wait=bar.refresh)
            except CellFailed as error:
                raise CellFailed(f"Cell {number} of the lesson failed: {error.message}", remedy=error.remedy) from error
            bar.update()


def _tell(room: Classroom, found: dict[str, Any], stages: Stages, total_s: float, say: Callable[[str], None]) -> None:
    scores = found["scores"]
    say(f"\nDice, and F1 of objects, on {', '.join(found['names'])}, an animal that the model has not seen:\n")
    say(f"  {'class':<12} {'model':>7} {'Otsu':>7} {'F1':>7} {'Otsu':>7}")
    for name, own in scores["model"].items():
        otsu = scores["otsu"][name]
        numbers = (own["dice"], otsu["dice"], _f1(own), _f1(otsu))
        say(f"  {name:<12} {' '.join(map(_number, numbers))}")
    model, segmentation = Path(found["model"]), Path(found["segmentation"])
    name = found["names"][0]
    home = room.settings.state.resolve() / "homes" / STUDENT
    say("\nWhat came out:\n")
    for what, path in (
        ("model", model / "model" / "model.safetensors"),
        ("label image", segmentation / "masks" / f"{name}.labels.ome.tif"),
        ("overlay", segmentation / "overlays" / f"{name}.overlay.png"),
        ("lab report", model / "executed.ipynb"),
        ("quality", model / "qc" / "report.html"),
        ("lesson", home / DONE),
    ):
        say(f"  {what:<12} {_short(path)}")
    say("\nHow long it took:\n")
    for stage, seconds in stages.seconds:
        say(f"  {seconds:7.1f} s  {stage}")
    for kind, folder in (("train", model), ("segment", segmentation)):
        for step in json.loads((folder / "job.json").read_text())["steps"]:
            if step["duration_s"] is not None:
                say(f"  {step['duration_s']:7.1f} s    {kind} job: {step['name'].replace('_', ' ')}")
    say(f"  {total_s:7.1f} s  in all")
    say(
        f"\nTo go on: `make up`, then open {room.url} in a browser.\n"
        f"  student   {STUDENT} (or any other name), password {room.passwords['student']}\n"
        f"  teacher   any name, password {room.passwords['teacher']}\n"
        f"  The lesson as it ran is {DONE} in {STUDENT}'s folder."
    )


def _f1(score: dict[str, Any]) -> float | None:
    """At an IoU of 0.5."""
    return next((entry["f1"] for entry in score["objects"] if entry["iou"] == 0.5), None)  # noqa: PLR2004


def _number(dice: float | None) -> str:
    return f"{'–':>7}" if dice is None else f"{dice:7.3f}"


def _short(path: Path) -> str:
    """The path from here where that is possible."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
