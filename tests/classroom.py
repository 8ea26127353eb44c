"""A running classroom for acceptance and browser tests: the real hub, its proxy, and its service."""

import csv
import re
import secrets
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

import axonlab
from axonlab_core.backends.service import ServiceSession
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.read import read_image, read_labels
from axonlab_hub.settings import Settings
from axonlab_hub.up import Classroom, open_classroom, runner_command

SAMPLE = Path(__file__).parents[1] / "notebooks" / "data" / "axon_sem"
LEASE_S = 3.0
HEARTBEAT_S = 1.0


@dataclass
class RunningClassroom:
    """The classroom, and what a test does to it. Log in as any name: `ana` and `ben` are students, `tea` is staff."""

    room: Classroom
    settings: Settings
    started_in_s: float
    _browsers: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where people log in."""
        return self.room.url

    @property
    def service_url(self) -> str:
        """The service, through the hub's proxy."""
        return self.room.service_url

    @property
    def runner_token(self) -> str:
        """The token with which runners claim."""
        return self.settings.runner_token_file.read_text().strip()

    def runner_command(self) -> list[str]:
        """The command that starts a runner here."""
        return runner_command(self.room)

    def hub_log(self) -> str:
        """What hub and service have said so far."""
        return self.room.hub_log.read_text()

    # -- people ------------------------------------------------------------------------------------------

    def browser(self, name: str) -> httpx.Client:
        """A browser in which that person has logged in."""
        if name not in self._browsers:
            client = httpx.Client(base_url=self.url, timeout=30, follow_redirects=True)
            page = client.get("/hub/login")
            xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
            assert xsrf is not None, page.text
            who = "teacher" if name == "tea" else "student"
            form = {"username": name, "password": self.room.passwords[who], "_xsrf": xsrf.group(1)}
            # Without a next page the hub would start a server.
            answer = client.post("/hub/login?next=/hub/home", data=form)
            assert answer.status_code == 200, answer.text
            assert "/hub/login" not in str(answer.url), "the password was refused"
            self._browsers[name] = client
        return self._browsers[name]

    def hub_api(self, name: str, method: str, path: str, **more) -> httpx.Response:
        """The hub's answer to a call of that person's browser, e.g. `POST users/ana/server` to start a server."""
        browser = self.browser(name)
        xsrf = next(cookie.value for cookie in browser.cookies.jar if cookie.name == "_xsrf" and "/hub" in cookie.path)
        headers = {"X-XSRFToken": xsrf or "", "Referer": f"{self.url}/hub/home", "Origin": self.url}
        return browser.request(method, f"/hub/api/{path}", headers=headers, **more)

    def user_token(self, name: str, *, scopes: list[str] | None = None) -> str:
        """A new token of that person, with all their scopes or with these only."""
        body = {"note": "acceptance test"} | ({} if scopes is None else {"scopes": scopes})
        answer = self.hub_api(name, "POST", f"users/{name}/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def session(self, name: str) -> ServiceSession:
        """That person's connection to the service."""
        return ServiceSession(self.service_url, self.user_token(name))

    # -- calls and faults --------------------------------------------------------------------------------

    def call(self, method: str, path: str, *, token: str | None = None, json=None, timeout=60) -> httpx.Response:
        """The bare answer to one call of the service."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.request(method, f"{self.service_url}/api/v1/{path}", headers=headers, json=json, timeout=timeout)

    def service_processes(self) -> dict[str, psutil.Process]:
        """The service's processes by their module: `supervise`, started by the hub, and `serve`, its child."""
        found = {}
        for process in psutil.Process(self.room.hub.pid).children(recursive=True):
            words = process.cmdline()
            if "-m" in words and words[words.index("-m") + 1].startswith("axonlab_hub."):
                found[words[words.index("-m") + 1].removeprefix("axonlab_hub.")] = process
        return found

    def kill_service(self) -> None:
        """End the service as `kill -9` does, and return once it is gone."""
        process = self.service_processes()["serve"]
        process.kill()
        process.wait(5)

    def await_service(self, timeout_s: float = 30) -> float:
        """Seconds until the service answers through the proxy."""
        began = time.monotonic()
        while True:
            try:
                if self.call("GET", "health", timeout=2).is_success:
                    return time.monotonic() - began
            except httpx.TransportError:
                pass
            assert time.monotonic() - began < timeout_s, self.hub_log()[-3000:]
            time.sleep(0.05)

    def close(self) -> None:
        """Close the browsers."""
        for browser in self._browsers.values():
            browser.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def running_classroom(folder):
    """The running classroom; every process of it has ended afterwards."""
    settings = Settings(
        state=folder / secrets.token_hex(2),
        bind_url=f"http://127.0.0.1:{free_port()}",
        lease_s=LEASE_S,
        heartbeat_s=HEARTBEAT_S,
        recheck_s=0.5,
    )
    began = time.monotonic()
    with open_classroom(settings, with_runner=False) as room:
        running = RunningClassroom(room=room, settings=settings, started_in_s=time.monotonic() - began)
        processes = psutil.Process(room.hub.pid).children(recursive=True)
        yield running
        running.close()
        processes += psutil.Process(room.hub.pid).children(recursive=True)
    left = [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not left, f"still running: {left}"


@contextmanager
def student_client(classroom, name, cache_dir):
    """That person's connection as `axonlab.connect` makes it, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXONLAB_CACHE_DIR", str(cache_dir))
        connection = axonlab.connect(classroom.service_url, classroom.user_token(name))
        yield connection
        connection.session.close()


def crops():
    """A data set of crops of three animals of the sample."""
    images, labels = {}, {}
    with (SAMPLE / "manifest.csv").open() as table:
        rows = {row["name"]: row for row in csv.DictReader(table)}
    for name in ("rat1_data1", "rat5_data14_q00", "rat8_V915"):
        shape = (int(rows[name]["height"]), int(rows[name]["width"]))
        images[name] = read_image(SAMPLE / "images" / f"{name}.png").pixels[100:420, 200:520]
        whole = read_labels(SAMPLE / "masks" / f"{name}.png", shape=shape, palette=AXON_PALETTE)
        labels[name] = whole[100:420, 200:520]
    return axonlab.dataset(images, labels, manifest=SAMPLE / "manifest.csv")
