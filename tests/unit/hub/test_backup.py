"""Backup and restore of a classroom whose people share one system user."""

import os
import shutil
import sqlite3
import subprocess
import tarfile
from contextlib import closing

import pytest

from axonlab_core.contract.errors import BadInput, Conflict, NotFound
from axonlab_hub.backup import back_up, restore
from axonlab_hub.settings import Settings


@pytest.fixture
def settings(tmp_path):
    state = tmp_path / "state"
    (state / "homes" / "ana").mkdir(parents=True)
    (state / "storage" / "users" / "ana").mkdir(parents=True)
    for name in ("jupyterhub", "axonlab"):
        with closing(sqlite3.connect(state / f"{name}.sqlite")) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE jobs (id TEXT)")
            database.execute("INSERT INTO jobs VALUES (?)", (name,))
            database.commit()
    (state / "storage" / "users" / "ana" / "blob").write_bytes(b"image")
    # Her own files keep whatever names they have.
    for name in ("notes.log", "mine.sqlite", "up.lock", "-dash", "uml ä .txt"):
        (state / "homes" / "ana" / name).write_text(name)
    (state / "homes" / "ana" / "link").symlink_to("/etc/hostname")
    with (state / "homes" / "ana" / "sparse").open("wb") as file:
        file.truncate(2**30)
    (state / "link-secret").write_text("secret")
    (state / "hub.log").write_text("long")
    return Settings(state=state)


def rows(state, name):
    with closing(sqlite3.connect(state / f"{name}.sqlite")) as database:
        return database.execute("SELECT id FROM jobs").fetchall()


@pytest.mark.parametrize(
    "suffix",
    [
        ".tar.gz",
        ".tar",
        pytest.param(
            ".tar.zst", marks=pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd here")
        ),
    ],
)
def test_there_and_back(settings, tmp_path, suffix):
    archive = tmp_path / f"b{suffix}"
    with closing(sqlite3.connect(settings.state / "axonlab.sqlite")) as live:  # open, with rows in its WAL only
        live.execute("INSERT INTO jobs VALUES ('later')")
        live.commit()
        assert back_up(settings, archive) == (archive.stat().st_size, [])
    assert archive.stat().st_mode & 0o077 == 0
    assert archive.stat().st_size < 2**22, "a file without content costs nothing"
    again = Settings(state=tmp_path / "again")
    assert restore(archive, again) == again.state
    assert rows(again.state, "jupyterhub") == [("jupyterhub",)]
    assert rows(again.state, "axonlab") == [("axonlab",), ("later",)]
    home = again.state / "homes" / "ana"
    assert sorted(path.name for path in home.iterdir()) == sorted(
        path.name for path in (settings.state / "homes" / "ana").iterdir()
    )
    assert (home / "link").is_symlink()
    assert (again.state / "storage" / "users" / "ana" / "blob").read_bytes() == b"image"
    assert not (again.state / "hub.log").exists()
    assert not [*tmp_path.glob(".*"), *again.state.glob(".*")], "nothing is left of the work"


def test_nothing_is_overwritten(settings, tmp_path):
    archive = tmp_path / "b.tar.gz"
    back_up(settings, archive)
    with pytest.raises(Conflict, match="exists already"):
        back_up(settings, archive)
    with pytest.raises(Conflict, match="is there already"):
        restore(archive, settings)


def test_a_state_folder_that_is_empty_will_do(settings, tmp_path):
    archive = tmp_path / "b.tar"
    back_up(settings, archive)
    (tmp_path / "again").mkdir()
    restore(archive, Settings(state=tmp_path / "again"))
    assert rows(tmp_path / "again", "axonlab") == [("axonlab",)]


def test_what_is_no_archive_changes_nothing(settings, tmp_path):
    archive = tmp_path / "b.tar.gz"
    back_up(settings, archive)
    broken = tmp_path / "cut.tar.gz"
    broken.write_bytes(archive.read_bytes()[:200])
    foreign = tmp_path / "foreign.tar"
    with tarfile.open(foreign, "w") as tar:
        tar.add(tmp_path / "state" / "hub.log", "hello")
    again = Settings(state=tmp_path / "again")
    for path in (broken, foreign, tmp_path / "none.tar"):
        with pytest.raises((BadInput, NotFound)):
            restore(path, again)
        assert not again.state.exists() or not list(again.state.iterdir())
    assert not list(tmp_path.glob(".axonlab-*"))


def test_a_broken_database_is_not_brought_back(settings, tmp_path):
    archive = tmp_path / "b.tar"
    back_up(settings, archive)
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "xf", archive, "-C", folder], check=True)
    file = folder / "databases" / "axonlab.sqlite"
    file.write_bytes(file.read_bytes()[:1000] + os.urandom(3000))
    subprocess.run(["tar", "cf", archive, "-C", folder, "databases", "state"], check=True)
    with pytest.raises(BadInput, match="is broken"):
        restore(archive, Settings(state=tmp_path / "again"))
    assert not list((tmp_path / "again").iterdir())


def test_refusals_say_why(settings, tmp_path):
    with pytest.raises(BadInput, match="no classroom's state"):
        back_up(Settings(state=tmp_path / "nowhere"), tmp_path / "b.tar")
    with pytest.raises(BadInput, match="AXONLAB_DATABASE_URL leads out"):
        back_up(settings.model_copy(update={"database_url": "postgresql://x"}), tmp_path / "b.tar")
    with pytest.raises(BadInput, match="no archive's name"):
        back_up(settings, tmp_path / "b.zip")
    with pytest.raises(BadInput, match="cannot be written to"):
        back_up(settings, tmp_path / "no" / "b.tar")
