"""Settings come from the environment, secrets are made once."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_hub.secrets_folder import kept_secret
from axonlab_hub.settings import Settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AXONLAB_{name.upper()}", raising=False)
    monkeypatch.delenv("JUPYTERHUB_API_URL", raising=False)


def test_defaults_stay_in_the_state_folder(tmp_path):
    settings = Settings(state=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/axonlab.sqlite"
    assert settings.storage == f"file://{tmp_path}/storage"
    assert settings.public_service_url == "http://127.0.0.1:8000/services/axonlab"


def test_what_is_given_goes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AXONLAB_LEASE_S", "7")
    monkeypatch.setenv("AXONLAB_STATE", str(tmp_path))
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://hub/api")
    settings = Settings.from_environment(lease_s=9, bind_url=None)
    assert (settings.lease_s, settings.state, settings.hub_api_url) == (9, tmp_path, "http://hub/api")


def test_the_login_is_the_services_own(monkeypatch, tmp_path):
    """A student's server has a token under the same name, and whoever starts a hub there must not use it."""
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t0ken")
    monkeypatch.setenv("JUPYTERHUB_CLIENT_ID", "client")
    assert Settings.from_environment(state=tmp_path).oauth_client_secret == ""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "axonlab")
    settings = Settings.from_environment(state=tmp_path)
    assert (settings.oauth_client_id, settings.oauth_client_secret) == ("client", "t0ken")
    assert "t0ken" not in repr(settings)
    assert not [value for value in settings.environment().values() if "t0ken" in value]


def test_a_value_that_makes_no_sense_names_its_variable(monkeypatch):
    monkeypatch.setenv("AXONLAB_LEASE_S", "soon")
    with pytest.raises(BadInput, match="AXONLAB_LEASE_S=soon"):
        Settings.from_environment()


def test_a_child_reads_the_same_settings(monkeypatch, tmp_path):
    settings = Settings(state=tmp_path, lease_s=2.5, course="nerves", service_port=1234)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == settings


def test_a_secret_is_made_once_and_is_its_owners(tmp_path):
    path = tmp_path / "state" / "secret"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: kept_secret(path), range(8)))
    assert len(made) == 1
    assert kept_secret(path) in made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]
    assert kept_secret(tmp_path / "other") not in made
