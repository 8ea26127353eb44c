"""The lesson in a student's own server behind the hub, and the whole demo."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from axonlab_core.contract.models import ModelsAnswer
from axonlab_hub.demo import DONE, LESSON, run_cells
from axonlab_hub.settings import child_environment
from axonlab_hub.visit import Visit

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_the_lesson_runs_from_top_to_bottom(classroom, tmp_path):
    """As the demo does it, with a few steps instead of two minutes."""
    with (tmp_path / "runner.log").open("wb") as log:
        runner = subprocess.Popen(
            [*classroom.runner_command(), "--work-dir", str(tmp_path / "work")],
            env=child_environment(classroom.settings),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with Visit(classroom.url, "eve", classroom.room.passwords["student"]) as visit:
            visit.start_server()
            lesson = visit.read_notebook(LESSON)
            trains = [cell for cell in lesson.cells if "minutes=2" in cell.source]
            assert len(trains) == 1
            trains[0].source = trains[0].source.replace("minutes=2", "steps=4")
            with visit.kernel(LESSON) as kernel:
                run_cells(kernel, lesson)
            visit.write_notebook(DONE, lesson)
            again = visit.read_notebook(DONE)
            visit.stop_server()
    finally:
        runner.terminate()
        assert runner.wait(60) == 0
    outputs = [output for cell in again.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) >= 3, "it shows its images"
    with classroom.session("eve") as session:
        (mine,) = session.call("GET", "models", ModelsAnswer).mine
    assert mine.summary is not None, "the service has read the card of a real model"
    assert (mine.summary.preset, mine.summary.steps, mine.course) == ("tiny", 4, "axons")
    assert set(mine.summary.scores) == set(mine.summary.classes)


def test_the_demo_reaches_the_goal(tmp_path, record_property):
    from axonlab_hub.settings import Settings

    answer = subprocess.run(
        [Path(sys.executable).with_name("axonlab"), "demo", "--state", tmp_path / "state", "--port", "18765"],
        cwd=tmp_path,
        env=child_environment(Settings(state=tmp_path / "state")),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    model, otsu = map(float, re.search(r"^\s*axon\s+([\d.]+)\s+([\d.]+)", answer.stdout, re.MULTILINE).groups())
    assert model >= 0.80
    assert model > otsu
    told = dict(re.findall(r"^  (model|label image|overlay|lab report|lesson)\s+(\S+)$", answer.stdout, re.MULTILINE))
    assert len(told) == 5, answer.stdout
    for path in told.values():
        assert (tmp_path / path).is_file(), path
    took_s = float(re.search(r"([\d.]+) s  in all", answer.stdout).group(1))
    assert took_s <= 300, "a demo may take five minutes"
    record_property("figures", answer.stdout)
