"""The hub's configuration."""

import re
from pathlib import Path

import pytest
from traitlets.config import Config

from axonlab_hub import configure, scopes
from axonlab_hub.hand_out import hand_out
from axonlab_hub.settings import Settings


@pytest.fixture
def config(settings):
    c = Config()
    configure.configure(c, settings)
    return c


def test_everything_listens_on_loopback(config):
    (service, _) = config.JupyterHub.services
    addresses = [config.JupyterHub.bind_url, config.JupyterHub.hub_bind_url, config.ConfigurableHTTPProxy.api_url]
    assert all(address.startswith("http://127.0.0.1:") for address in [*addresses, service["url"]])
    assert "base_url" not in config.JupyterHub
    assert "ip" not in config.JupyterHub


def test_nobody_may_more_than_they_need(config):
    roles = {role["name"]: set(role["scopes"]) for role in config.JupyterHub.load_roles}
    assert roles == {
        "user": {"self", scopes.ACCESS, scopes.SUBMIT},
        "axonlab-staff": {scopes.TEACH},
        "axonlab-runner": {scopes.ACCESS, scopes.RUN},
    }
    (staff,) = (role for role in config.JupyterHub.load_roles if role["name"] == "axonlab-staff")
    assert staff["groups"] == ["formgrade-axons"]
    assert scopes.RUN not in config.Spawner.server_token_scopes
    assert not any("admin" in service for service in config.JupyterHub.services)


def test_a_login_at_the_pages_may_no_more_than_a_students_token(config):
    (service, runner) = config.JupyterHub.services
    assert service["display"]
    assert not runner["display"]
    assert service["oauth_redirect_uri"] == "/services/axonlab/oauth_callback"
    assert set(service["oauth_client_allowed_scopes"]) == {scopes.ACCESS, scopes.SUBMIT}


def test_twice_gives_the_same(settings):
    first, second = Config(), Config()
    configure.configure(first, settings)
    configure.configure(second, Settings.model_validate(settings.model_dump()))
    for c in (first, second):
        c.Spawner.pop("pre_spawn_hook")  # a function, made anew
        c.JupyterHub.services[0].pop("environment")
    assert first == second


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", ".", "-a", "a" * 33, "x{0}"])
def test_names_that_cannot_be_folders_cannot_log_in(config, name):
    assert not re.match(config.Authenticator.username_pattern, name)


def test_a_password_says_whether_one_is_student_or_staff(config, settings):
    made = configure.passwords(settings)
    assert config.SharedPasswordAuthenticator.password_groups == {
        made["student"]: ["nbgrader-axons"],
        made["teacher"]: ["formgrade-axons"],
    }
    assert made["student"] != made["teacher"]


def test_lessons_are_handed_out_once(tmp_path):
    home = tmp_path / "ana"
    hand_out(home)
    table = home / "data" / "axon_sem" / "manifest.csv"
    assert table.is_file()
    table.write_text("mine")
    hand_out(home)
    assert table.read_text() == "mine", "a student's own changes stay"


def test_the_proxy_is_the_one_of_this_environment(config):
    *_, program = config.ConfigurableHTTPProxy.command
    assert Path(program).name == "configurable-http-proxy"
