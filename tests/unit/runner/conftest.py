import pytest

from axonlab_runner.warmth import WarmParent


@pytest.fixture(scope="session")
def warm_parent(tmp_path_factory):
    parent = WarmParent(tmp_path_factory.mktemp("warm") / "parent", cores=1, device="cpu")
    parent.ensure()
    assert parent.wait_ready(60)
    yield parent
    parent.close()
