import ast
import inspect

import nbformat
import pytest

from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.parameters import check_parameter_name
from axonlab_core.learning.segment import segment
from axonlab_core.learning.train import train
from axonlab_notebooks import job_notebook

LOOPS_AND_DEFS = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.comprehension,
)


@pytest.fixture(params=list(Kind))
def notebook(request):
    return nbformat.read(job_notebook(request.param), as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_short_and_plain(notebook):
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 6
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, LOOPS_AND_DEFS)]


def test_its_parameters_have_plain_names_and_are_understood(notebook):
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    names = [node.targets[0].id for node in ast.parse(parameters.source).body]
    assert [check_parameter_name(name) for name in names] == names
    called = segment if "segment(" in notebook.cells[2].source else train
    assert set(names) - {"job_id"} <= set(inspect.signature(called).parameters)
