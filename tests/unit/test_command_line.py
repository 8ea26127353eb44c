"""The command `axonlab` as a person meets it."""

import subprocess
import sys
from pathlib import Path

import pytest

AXONLAB = Path(sys.executable).with_name("axonlab")


def axonlab(*arguments, **environment):
    return subprocess.run(
        [AXONLAB, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )


def test_every_process_brings_its_commands():
    answer = axonlab("--help")
    assert answer.returncode == 0
    for command in ("up", "demo", "train", "segment", "evaluate", "runner"):
        assert command in answer.stdout


@pytest.mark.parametrize("command", ["up", "demo", "train", "segment", "evaluate", "runner"])
def test_every_command_explains_itself(command):
    answer = axonlab(command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "Usage" in answer.stdout


def test_the_version_is_told():
    from axonlab_core import __version__

    assert __version__ in axonlab("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dance"], "No such command"),
        (["train"], "Missing option"),
        (["runner"], "Give --service URL"),
        (["runner", "--service", "http://127.0.0.1:9"], "--token-file"),
    ],
)
def test_what_the_person_can_change_ends_with_2(arguments, says):
    answer = axonlab(*arguments)
    assert answer.returncode == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr


def test_what_the_person_cannot_change_ends_with_1(tmp_path):
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o600)
    answer = axonlab(
        "runner", "--once", "--service", "http://127.0.0.1:9/x", "--token-file", str(token),
        "--work-dir", str(tmp_path), "--device", "cpu",
    )  # fmt: skip
    assert answer.returncode == 1
    assert "cannot be reached" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_token_that_everybody_can_read_is_refused(tmp_path):
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o644)
    answer = axonlab("runner", "--service", "http://127.0.0.1:9/x", "--token-file", str(token))
    assert answer.returncode == 2
    assert "chmod 600" in answer.stderr
