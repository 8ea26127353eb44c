import numpy as np
import pytest
import tifffile

import axonlab
from axonlab import client as client_module

from .service import serving


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A cache of its own, and no hub in the environment."""
    for name in (
        "AXONLAB_SERVICE_URL",
        "AXONLAB_TOKEN",
        "AXONLAB_TOKEN_FILE",
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_PUBLIC_HUB_URL",
        "JUPYTERHUB_HOST",
        "JUPYTERHUB_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AXONLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path):
    """Writes an array as TIFF and gives its path."""

    def write_tiff(name, pixels, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, pixels, **options)
        return path

    return write_tiff


@pytest.fixture
def grey():
    return np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)


@pytest.fixture
def classes():
    labels = np.zeros((40, 50), np.uint8)
    labels[:20], labels[20:30], labels[30:] = 1, 2, 255
    return labels


@pytest.fixture
def service(tmp_path):
    with serving(tmp_path / "state") as (url, traffic):
        yield url, traffic
    client_module._latest.clear()


@pytest.fixture
def url(service):
    return service[0]


@pytest.fixture
def ana(url):
    client = axonlab.connect(url, "ana-token")
    yield client
    client.session.close()
