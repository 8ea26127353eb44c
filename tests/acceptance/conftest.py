"""The classroom that all acceptance tests share."""

import pytest

from classroom import free_port as a_free_port
from classroom import running_classroom


@pytest.fixture
def free_port():
    """Gives a port that nobody listens at."""
    return a_free_port


@pytest.fixture(scope="session")
def classroom(tmp_path_factory):
    """The running classroom; every process of it has ended afterwards."""
    with running_classroom(tmp_path_factory.mktemp("classroom")) as running:
        yield running
