import sys

import numpy as np
import pytest

import axonlab
from axonlab.commands import AXON_PALETTE
from axonlab_core.cli import main

from ..service import serving  # noqa: TID252 (a package of tests has no absolute name)
from . import document, errors_document, formats_document


@pytest.fixture(scope="session")
def errors():
    """docs/errors.md."""
    yield from _kept(errors_document.make())


@pytest.fixture(scope="session")
def formats():
    """docs/formats.md."""
    yield from _kept(formats_document.make())


def _kept(kept):
    yield kept
    if document.WRITING:
        kept.write()


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line as a person does: its exit status and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["axonlab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def refuses(command, tmp_path):
    """Runs a command that must end with 2, one message and nothing left behind."""

    def run(*arguments, error=None):
        before = tree(tmp_path)
        code, out, err = command(*arguments)
        assert code == 2, err
        assert out == ""
        assert "Traceback" not in err
        assert "Error: " in err
        if error is not None:
            assert err.endswith(f"Error: {error.message}\n  → {error.remedy}\n")
        assert tree(tmp_path) == before
        return err

    return run


def tree(folder):
    """Everything under a folder, but of the cache only what is not whole."""
    every = [path for path in folder.rglob("*") if "service" not in path.relative_to(folder).parts[:1]]
    return {
        path: path.stat().st_size
        for path in every
        if path.relative_to(folder).parts[0] != "cache" or path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Address of a service, and the traffic to it."""
    with serving(tmp_path_factory.mktemp("service")) as (url, traffic):
        yield url, traffic


@pytest.fixture
def client(running):
    connected = axonlab.connect(running[0], "ana-token")
    yield connected
    connected.session.close()
    axonlab.client._latest.clear()


@pytest.fixture
def data():
    """A small data set with labels."""
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 2
    return axonlab.dataset({"cells": np.arange(400, dtype=np.uint16).reshape(20, 20)}, {"cells": labels})


@pytest.fixture
def palette():
    return AXON_PALETTE
