"""A whole service in this process: real database, real storage, real routes.

Only the hub is played by a double, because whose a token is is the hub's to say; the acceptance tests ask the
real one.
"""

import hashlib
import json
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import uvicorn

from axonlab_core.contract.base import utc_now
from axonlab_core.contract.dataset import DatasetImage, DatasetManifest
from axonlab_core.contract.model_card import (
    CARD_KEY,
    ClassScores,
    ModelCard,
    ModelInput,
    Normalisation,
    Scores,
    SplitRecord,
    Training,
)
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.contract.tickets import Blob
from axonlab_hub.app import create_app
from axonlab_hub.auth import Person
from axonlab_hub.parts import Parts
from axonlab_hub.scopes import ACCESS, RUN, SUBMIT, TEACH
from axonlab_hub.serve import Server
from axonlab_hub.settings import Settings

MACHINE = {"name": "here", "kinds": ["train", "infer"], "device": "cpu", "memory_bytes": 8 * 10**9,
           "disk_bytes": 50 * 10**9, "cores": 2}  # fmt: skip


class HubIdentityDouble:
    """Plays the hub's answer to "whose token is this?"."""

    def __init__(self):
        students = {"ana": {"nbgrader-axons"}, "ben": set(), "cat": {"nbgrader-axons", "nbgrader-nerves"}}
        self.people = {
            name: Person(name=name, groups=frozenset(groups), scopes=frozenset({ACCESS, SUBMIT}))
            for name, groups in students.items()
        }
        self.people |= {
            "tea": Person(name="tea", groups=frozenset({"formgrade-axons"}), scopes=frozenset({ACCESS, SUBMIT, TEACH})),
            "ana-no-access": Person(name="ana", scopes=frozenset({SUBMIT})),
            "ana-no-submit": Person(name="ana", scopes=frozenset({ACCESS})),
            "runner": Person(name="axonlab-runner", kind="service", scopes=frozenset({ACCESS, RUN})),
        }

    async def person(self, token):
        return self.people.get(token)

    async def close(self):
        pass


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = utc_now()

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


@dataclass
class Service:
    """The service and the ways to call it."""

    client: httpx.Client
    parts: Parts
    clock: Clock
    settings: Settings
    end: Callable[[], None]

    def call(self, method, path, *, token=None, body=None, **more):
        headers = {"Content-Type": "application/json"}
        headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
        content = None if body is None else json.dumps(body)
        url = f"/services/axonlab/api/v1/{path}"
        return self.client.request(method, url, headers=headers | more.pop("headers", {}), content=content, **more)

    def ok(self, method, path, **more):
        answer = self.call(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, status, method, path, **more):
        answer = self.call(method, path, **more)
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert set(body) == {"error", "message", "remedy"}
        return body

    def send(self, ticket, data):
        for part in ticket["parts"]:
            chunk = data[part["offset"] : part["offset"] + part["size_bytes"]]
            answer = self.client.request(part["method"], f"/services/axonlab/{part['url']}", content=chunk)
            assert answer.status_code == 204, answer.text
        if ticket["commit"]:
            answer = self.client.request(ticket["commit"]["method"], f"/services/axonlab/{ticket['commit']['url']}")
            assert answer.status_code == 204, answer.text

    def fetch(self, ticket):
        return self.client.get(f"/services/axonlab/{ticket['parts'][0]['url']}").content

    def upload(self, data, *, token="ana"):  # noqa: S107 (the double's name for it)
        blob = blob_of(data)
        (ticket,) = self.ok("POST", "uploads", token=token, body={"blobs": [blob.model_dump()]})["tickets"]
        if ticket is not None:
            self.send(ticket, data)
        return blob

    def dataset(self, *, token="ana", labels=True):  # noqa: S107 (see above)
        image, label = self.upload(b"image", token=token), self.upload(b"labels", token=token)
        one = DatasetImage(name="nerve", image=image, width_px=64, height_px=64, channels=1, dtype="uint8",
                           labels=label if labels else None)  # fmt: skip
        manifest = DatasetManifest(palette=AXON_PALETTE, images=(one,))
        return self.upload(manifest.canonical_json(), token=token).sha256

    def submit(self, *, token="ana", key=None, **spec):  # noqa: S107 (see above)
        spec = {"kind": "train", "dataset": self.dataset(token=token), "steps": 3} | spec
        return self.ok("POST", "jobs", token=token, body={"spec": spec, "idempotency_key": key})

    def claim(self, job_id, **machine):
        return self.ok("POST", f"runner/jobs/{job_id}/claim", token="runner", body={"capabilities": MACHINE | machine})

    def deliver(self, claim, files):
        """Upload the files of a run's bundle; returns their descriptions."""
        run = f"runs/{claim['job_id']}/{claim['attempt']}"
        named = [{**blob_of(data).model_dump(), "path": path} for path, data in files.items()]
        tickets = self.ok("POST", f"{run}/outputs", token=claim["token"], body={"files": named})["tickets"]
        for ticket, data in zip(tickets, files.values(), strict=True):
            if ticket is not None:
                self.send(ticket, data)
        return named

    def succeed(self, job, files=None):
        claim = self.claim(job["id"])
        named = self.deliver(claim, files or {"model/model.safetensors": b"model"})
        return self.ok("POST", f"runs/{job['id']}/1/complete", token=claim["token"], body={"files": named})

    def states(self, job_id, *, token="ana"):  # noqa: S107 (the double's name for it)
        events = self.ok("GET", f"jobs/{job_id}/events", token=token)["events"]
        assert [event["n"] for event in events] == list(range(1, len(events) + 1))
        return [event["body"]["state"] for event in events if event["body"]["type"] == "state"]


def model_bytes(*, seed=0, **more):
    """A SafeTensors file without tensors, whose card is complete."""
    card = ModelCard(
        preset="tiny",
        palette=AXON_PALETTE,
        input=ModelInput(channels=1, normalisation=Normalisation(), pixel_size_um=0.1),
        training=Training(steps=3, seconds=1, batch=2, tile_px=64, learning_rate=0.01, seed=seed, device="cpu",
                          labelled_fraction=0.5),
        dataset="0" * 64,
        split=SplitRecord(train=("a",), val=("b",), scope="other-image"),
        scores=Scores(scope="other-image", model={"axon": ClassScores(dice=0.9, iou=0.8)}, otsu={}, best_step=2),
        created_at=utc_now(),
        software={},
        **more,
    )  # fmt: skip
    header = json.dumps({"__metadata__": {CARD_KEY: card.model_dump_json()}}).encode()
    return len(header).to_bytes(8, "little") + header


def blob_of(data):
    return Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


@contextmanager
def running_service(settings):
    """A service on a loopback port of its own."""
    clock = Clock()
    app = create_app(settings, identities=HubIdentityDouble(), clock=clock)
    server = Server(uvicorn.Config(app, access_log=False, log_config=None, timeout_graceful_shutdown=3))
    # The protocol is named, because asyncio switches Nagle's algorithm off only where it is: 40 ms a call.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def end():
            server.should_exit = True
            thread.join(10)

        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
                yield Service(client=client, parts=app.state.parts, clock=clock, settings=settings, end=end)
        finally:
            end()


def quick_settings(state):
    return Settings(state=state, lease_s=3, heartbeat_s=1, recheck_s=0.2, body_timeout_s=2)


@pytest.fixture
def settings(tmp_path):
    return quick_settings(tmp_path)


@pytest.fixture
def service(settings):
    with running_service(settings) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A service for tests that change nothing in it."""
    with running_service(quick_settings(tmp_path_factory.mktemp("shared"))) as running:
        yield running
