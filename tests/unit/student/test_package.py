"""The public names, and what it costs to import them."""

import importlib
import pickle
import pkgutil
import subprocess
import sys
import time

import pytest

import axonlab
from axonlab.settings import Settings
from axonlab_core.contract.errors import NotFound, NotSignedIn, UserError


def test_importing_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, axonlab\n"
        "heavy = {'numpy', 'pydantic', 'httpx', 'tqdm', 'torch', 'skimage', 'tifffile', 'IPython'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    took = []
    for _ in range(3):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
        took.append(time.monotonic() - begun)
    assert min(took) < 0.5, f"a whole interpreter with `import axonlab` took {took} s"


def test_public_names_stay_what_they_are_when_every_module_is_imported():
    for module in pkgutil.iter_modules(axonlab.__path__):
        importlib.import_module(f"axonlab.{module.name}")
    for name in axonlab.__all__:
        assert callable(getattr(axonlab, name)), f"axonlab.{name} is not what one can call"
    assert set(axonlab.__all__) <= set(dir(axonlab))
    with pytest.raises(AttributeError, match="nonsense"):
        axonlab.nonsense  # noqa: B018 (the access is what is tested)


def test_the_student_library_imports_neither_neighbours_nor_torch():
    code = (
        "import importlib, pkgutil, sys, axonlab\n"
        "for module in pkgutil.iter_modules(axonlab.__path__): importlib.import_module('axonlab.' + module.name)\n"
        "found = {n.split('.')[0] for n in sys.modules} & {'torch', 'axonlab_hub', 'axonlab_runner', 'papermill'}\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- address and token -----------------------------------------------------------------------------------

TOKEN = "a-very-secret-token"
URL = "http://127.0.0.1:9/services/axonlab"


@pytest.mark.parametrize(
    ("env", "url", "token"),
    [
        ({"AXONLAB_SERVICE_URL": URL, "JUPYTERHUB_API_TOKEN": "hub"}, URL, "hub"),
        ({"AXONLAB_SERVICE_URL": URL, "JUPYTERHUB_API_TOKEN": "hub", "AXONLAB_TOKEN": "own"}, URL, "own"),
        (
            {"JUPYTERHUB_PUBLIC_HUB_URL": "https://h.edu/base/hub/", "JUPYTERHUB_API_TOKEN": "hub"},
            "https://h.edu/base/services/axonlab",
            "hub",
        ),
        (
            {"JUPYTERHUB_HOST": "https://h.edu", "JUPYTERHUB_BASE_URL": "/j/", "JUPYTERHUB_API_TOKEN": "hub"},
            "https://h.edu/j/services/axonlab",
            "hub",
        ),
    ],
)
def test_where_address_and_token_come_from(env, url, token):
    assert Settings.from_environment(env).address_and_token(None, None) == (url, token)


def test_what_is_given_goes_first():
    settings = Settings.from_environment({"AXONLAB_SERVICE_URL": URL, "AXONLAB_TOKEN": "set"})
    assert settings.address_and_token("http://other", "given") == ("http://other", "given")


def test_the_kernels_token_is_shown_to_its_own_hub_only():
    settings = Settings.from_environment({"AXONLAB_SERVICE_URL": URL, "JUPYTERHUB_API_TOKEN": TOKEN})
    assert settings.address_and_token(URL + "/", None)[1] == TOKEN
    with pytest.raises(NotSignedIn) as caught:
        settings.address_and_token("https://elsewhere.example/services/axonlab", None)
    assert TOKEN not in str(caught.value)


def test_token_file(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    env = {"AXONLAB_SERVICE_URL": URL, "AXONLAB_TOKEN_FILE": str(tmp_path / "token")}
    assert Settings.from_environment(env).token == TOKEN
    (tmp_path / "token").write_text("two words")
    with pytest.raises(UserError, match="one token") as caught:
        Settings.from_environment(env)
    assert "two words" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        Settings.from_environment({"AXONLAB_TOKEN_FILE": str(tmp_path / "gone")})


def test_without_address_or_token_it_says_where_they_come_from():
    with pytest.raises(UserError, match="AXONLAB_SERVICE_URL"):
        axonlab.connect()
    with pytest.raises(NotSignedIn, match="AXONLAB_TOKEN"):
        axonlab.connect(URL)


def test_the_token_is_in_no_repr_and_no_pickle():
    client = axonlab.connect(URL, TOKEN)
    settings = Settings.from_environment({"AXONLAB_TOKEN": TOKEN, "JUPYTERHUB_API_TOKEN": TOKEN})
    for holder in (client, settings, client.session):
        assert TOKEN not in repr(holder)
        assert TOKEN not in str(holder)
    for holder in (client, settings):
        with pytest.raises(TypeError, match="token"):
            pickle.dumps(holder)


# -- the sample ------------------------------------------------------------------------------------------


def test_the_sample_is_found_beside_the_lessons(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    (tmp_path / "data/axon_sem").mkdir(parents=True)
    (tmp_path / "data/axon_sem/manifest.csv").write_text("name\n")
    (tmp_path / "lessons").mkdir()
    monkeypatch.chdir(tmp_path / "lessons")
    found = axonlab.sample("axon_sem")
    assert found.folder == tmp_path / "data/axon_sem"
    assert found.labels == found.folder / "masks"
    with pytest.raises(NotFound, match="other"):
        axonlab.sample("other")
