"""What a job may set is what its notebook declares."""

import ast
import json

import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.jobs import InferSpec, JobModel, TrainSpec
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.parameters import PARAMETERS, check_declared
from axonlab_notebooks import job_notebook
from axonlab_runner.lifecycle import notebook_parameters

SPECS = {
    Kind.train: TrainSpec(dataset="0" * 64, steps=1),
    Kind.infer: InferSpec(dataset="0" * 64, model=JobModel(job_id="abcdefgh")),
}


@pytest.mark.parametrize("kind", Kind)
def test_the_notebook_declares_them_all_and_no_more(kind):
    cells = json.loads(job_notebook(kind).read_text())["cells"]
    (cell,) = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
    declared = [line.targets[0].id for line in ast.parse("".join(cell["source"])).body if isinstance(line, ast.Assign)]
    own = notebook_parameters(SPECS[kind], "abcdefgh")
    assert sorted(declared) == sorted({*own, *PARAMETERS[kind]})
    assert not own.keys() & PARAMETERS[kind].keys()


def test_numbers_are_taken():
    check_declared(Kind.train, {"learning_rate": 1, "batch": 4, "checkpoint_every_s": 2.5})
    for wrong in ({"batch": 4.0}, {"batch": True}, {"learning_rate": "0.1"}, {"steps": 3}):
        with pytest.raises(BadInput, match=r"batch|learning_rate|steps") as caught:
            check_declared(Kind.train, wrong)
        assert "tile_px" in caught.value.remedy
