"""The service's parent: brings a killed service back, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from axonlab_hub.settings import Settings, child_environment

pytestmark = pytest.mark.acceptance

# Starts the supervisor, as the hub does, says its process number, and stays.
HUB = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-m", "axonlab_hub.supervise"], start_new_session=True).pid, flush=True)
sys.stdin.read()
"""


def until(found, timeout_s=15):
    """What `found` returns, once it is true."""
    ends_at = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < ends_at, "it did not happen"
        time.sleep(0.02)  # another process: nothing here could wake us
    return value


@pytest.fixture
def supervised(tmp_path, free_port):
    """The stand-in for the hub, the supervisor under it, and the address of the service."""
    probe = Settings(state=tmp_path, service_port=free_port())
    with subprocess.Popen(
        [sys.executable, "-c", HUB], env=child_environment(probe), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as hub:
        assert hub.stdout is not None
        supervisor = psutil.Process(int(hub.stdout.readline()))
        url = f"http://127.0.0.1:{probe.service_port}/services/axonlab/api/v1/health"
        try:
            until(lambda: _healthy(url))
            yield hub, supervisor, url
        finally:
            hub.kill()
            psutil.wait_procs([supervisor], timeout=15)


def test_a_killed_service_is_back_soon(supervised):
    _, supervisor, url = supervised
    (first,) = supervisor.children()
    first.kill()
    assert until(lambda: _healthy(url))
    (second,) = supervisor.children()
    assert second.pid != first.pid


def test_told_to_stop_it_ends_its_service_too(supervised):
    _, supervisor, _ = supervised
    children = supervisor.children()
    os.kill(supervisor.pid, signal.SIGTERM)
    assert not _left([supervisor, *children])


def test_without_a_hub_there_is_no_service(supervised):
    hub, supervisor, _ = supervised
    children = supervisor.children()
    hub.kill()
    assert not _left([supervisor, *children])


def test_without_a_supervisor_there_is_no_service(supervised):
    _, supervisor, _ = supervised
    children = supervisor.children()
    supervisor.kill()
    assert not _left(children)


def _left(processes):
    """Those of the processes that do not end; a zombie, whose parent has yet to ask for it, has ended."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        processes = [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        if not processes:
            return []
        time.sleep(0.02)
    return processes


def _healthy(url):
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False
