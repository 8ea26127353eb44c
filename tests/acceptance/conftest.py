"""The classroom that all acceptance tests share."""

import pytest

import classroom as rooms


@pytest.fixture
def free_port():
    """Gives a port that nobody listens at."""
    return rooms.free_port


@pytest.fixture(scope="session")
def classroom(tmp_path_factory):
    """The running classroom; every process of it has ended afterwards."""
    with rooms.running_classroom(tmp_path_factory.mktemp("classroom")) as running:
        yield running
