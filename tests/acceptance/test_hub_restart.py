"""A classroom that was stopped and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from axonlab_hub.settings import Settings
from axonlab_hub.up import open_classroom

pytestmark = pytest.mark.acceptance


def test_up_keeps_its_state_and_leaves_no_process(tmp_path, free_port):
    port = free_port()
    command = [str(Path(sys.executable).with_name("axonlab")), "up", "--state", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl+C" in line:
                break
        said = "".join(lines)
        started = psutil.Process(process.pid).children(recursive=True)
        names = " ".join(word for child in started for word in child.cmdline())
        os.kill(process.pid, signal.SIGINT)
        said += process.stdout.read()
        assert process.wait(60) == 0, said
    assert f"http://127.0.0.1:{port}" in said
    assert "share one system user" in said
    for part in ("jupyterhub", "configurable-http-proxy", "axonlab_hub.serve", "runner"):
        assert part in names
    assert not [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    with open_classroom(Settings(state=tmp_path, bind_url=f"http://127.0.0.1:{port}"), with_runner=False) as room:
        assert all(password in said for password in room.passwords.values()), "passwords are made once"
        token = room.settings.runner_token_file.read_text()
        answer = httpx.get(f"{room.url}/hub/api/user", headers={"Authorization": f"token {token}"})
        scopes = {scope for scope in answer.json()["scopes"] if "axonlab:" in scope or scope.startswith("access:")}
        assert scopes == {"access:services!service=axonlab", "custom:axonlab:run"}
