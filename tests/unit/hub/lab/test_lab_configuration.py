"""What can be said of a lab server without starting one; tests/acceptance starts one."""

import os
import pwd
import shutil
import subprocess

import pytest
from traitlets.config import Config

from axonlab_core.contract.errors import BadInput, Conflict, NotAllowed
from axonlab_hub.configure import configure
from axonlab_hub.lab import ground, kept, system_users
from axonlab_hub.lab.unit import unit
from axonlab_hub.settings import Settings


@pytest.fixture
def settings(tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text("id\nana\n")
    return Settings(
        lan=True,
        state=tmp_path / "state",
        homes=tmp_path / "homes",
        roster=roster,
        course="bio301",
        bind_url="https://0.0.0.0:443",
        public_url="https://lab.example.edu",
        service_port=8010,
    )


@pytest.fixture
def everybody(monkeypatch):
    """No system users are made: everybody is the one who runs the tests."""
    monkeypatch.setattr(system_users, "account", lambda *_: pwd.getpwuid(os.geteuid()))


@pytest.fixture
def config(settings, everybody):
    """The hub's configuration."""
    c = Config()
    configure(c, settings)
    return c


def test_the_network_sees_tls_only_and_inside_is_loopback(config):
    assert config.JupyterHub.bind_url == "https://0.0.0.0:443"
    assert config.JupyterHub.public_url == "https://lab.example.edu/"
    assert config.JupyterHub.ssl_key.endswith("/proxy/self-signed.key")
    assert "--redirect-port=80" in config.ConfigurableHTTPProxy.command
    inside = [config.JupyterHub.hub_bind_url, config.ConfigurableHTTPProxy.api_url]
    inside += [service["url"] for service in config.JupyterHub.services if "url" in service]
    assert all(address.startswith("http://127.0.0.1:") for address in inside)
    given = config.Spawner.environment
    assert given.pop("JUPYTER_CONFIG_PATH").endswith("axonlab_hub/jupyter")
    assert given == {
        "AXONLAB_SERVICE_URL": "http://127.0.0.1:8010/services/axonlab",
        "AXONLAB_PAGES_URL": "https://lab.example.edu/services/axonlab",
    }


def test_nobody_gets_in_but_the_roster(config, settings):
    assert config.NativeAuthenticator.enable_signup is False
    assert config.RosterAuthenticator.roster_file == str(settings.roster)
    assert "allow_all" not in config.Authenticator
    assert "SharedPasswordAuthenticator" not in config
    assert "--allow-root" not in config.Spawner.args


def test_every_command_of_the_hub_has_a_system_user(config):
    assert all("user" in service for service in config.JupyterHub.services if "command" in service)
    roles = {role["name"]: role["scopes"] for role in config.JupyterHub.load_roles}
    assert not any(scope.startswith("admin") for scopes in roles.values() for scope in scopes)


def test_another_port_redirects_nothing(settings, everybody):
    c = Config()
    configure(c, settings.model_copy(update={"bind_url": "https://0.0.0.0:8443"}))
    assert not any("redirect" in word for word in c.ConfigurableHTTPProxy.command)


def test_only_root_may(settings, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotAllowed, match="only root"):
        ground.check(settings)


def test_a_roster_that_anybody_may_write_is_refused(settings):
    settings.roster.chmod(0o666)
    with pytest.raises(BadInput, match="may write") as caught:
        ground._check_roster_file(settings.roster)
    assert "chmod o-w" in (caught.value.remedy or "")


def test_folders_that_students_cannot_reach_are_refused(tmp_path):
    inner = tmp_path / "private" / "homes"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    with pytest.raises(BadInput, match="only its owner may enter"):
        ground._check_way(inner)


def test_how_it_was_started_is_written_down_and_read_again(settings, tmp_path):
    (settings.state / "hub").mkdir(parents=True)
    kept.keep(settings)
    assert kept.kept(settings.state) == settings
    file = settings.state / "hub" / "settings.json"
    file.write_text(file.read_text().replace("{", '{"of_another_version": 1,', 1))
    assert kept.kept(settings.state) == settings
    kept.check_same(settings)
    for changed, said in [({"homes": tmp_path}, "--homes"), ({"user_prefix": "x-"}, "--user-prefix")]:
        with pytest.raises(Conflict, match=said):
            kept.check_same(settings.model_copy(update=changed))
    with pytest.raises(BadInput, match="something else"):
        kept.check_same(settings.model_copy(update={"state": tmp_path}))
    assert (settings.state / "hub" / "settings.json").stat().st_mode & 0o077 == 0
    with pytest.raises(BadInput, match="no lab server's state"):
        kept.kept(tmp_path)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here to check the unit")
@pytest.mark.parametrize("gpu", [False, True])
def test_systemd_understands_the_unit(tmp_path, gpu):
    words = ["--lan", "--course", "bio301", "--roster", "/etc/axonlab/the roster 100%.csv", "--port", "443"]
    file = tmp_path / "axonlab.service"
    file.write_text(unit(words, course="bio301", gpu=gpu))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False, timeout=60
    )
    said = [line for line in done.stderr.splitlines() if "axonlab" in line]
    assert said == [], said
    assert "'/etc/axonlab/the roster 100%%.csv'" in file.read_text()
    assert f"PrivateDevices={'no' if gpu else 'yes'}" in file.read_text()
