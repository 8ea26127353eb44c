"""The first lesson as a file: clean, and speaking the library as it is. It is executed by the acceptance test."""

import ast
import json
from pathlib import Path

import pytest

import axonlab

LESSON = Path(__file__).resolve().parents[3] / "notebooks/lessons/01_first_model.ipynb"


@pytest.fixture(scope="module")
def cells():
    return json.loads(LESSON.read_text(encoding="utf-8"))["cells"]


def test_outputs_are_stripped(cells):
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_it_asks_nothing_and_names_only_what_there_is(cells):
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "axonlab":
                assert node.attr in axonlab.__all__
            assert not (isinstance(node, ast.Name) and node.id == "input")


def test_the_tested_animal_is_never_trained_on(cells, monkeypatch):
    monkeypatch.chdir(LESSON.parent)
    names = {"axonlab": axonlab, "sample": axonlab.sample()}
    for wanted in ("dataset", "split"):
        (cell,) = (cell for cell in cells if cell["id"] == wanted)
        exec("".join(cell["source"]), names)  # noqa: S102 (the lesson's own cells)
    assert names["unseen"].names == ("rat2_data5",)
    assert len(names["known"]) == 4
    assert not any("rat2" in image.name + image.group for image in names["known"].manifest.images)
    assert names["data"].warnings == ()
