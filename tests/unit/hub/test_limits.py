"""Nobody can keep the service busy alone: rates, and bodies that do not arrive."""

import hashlib
import socket
import time

import httpx
import pytest

from axonlab_core.contract.errors import LimitReached
from axonlab_hub.rates import Rates
from axonlab_hub.settings import Settings

from .conftest import running_service


class Seconds:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket_empties_at_once_and_fills_again():
    clock = Seconds()
    rates = Rates(2, burst=3, clock=clock)
    assert [rates.take("ana") for _ in range(4)] == [True, True, True, False]
    assert rates.take("ben"), "everybody has a bucket"
    with pytest.raises(LimitReached) as refused:
        rates.take_or_refuse("ana")
    assert refused.value.retry_after_s == 0.5
    clock.now += 0.5
    assert rates.take("ana")
    assert not rates.take("ana")
    clock.now += 3600
    assert [rates.take("ana") for _ in range(4)] == [True, True, True, False], "never more than a burst"


def test_buckets_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("axonlab_hub.rates._MAX_BUCKETS", 10)
    clock = Seconds()
    rates = Rates(1, burst=2, clock=clock)
    for n in range(100):
        clock.now += 5
        rates.take(f"user-{n}")
    assert len(rates._buckets) <= 10


def test_whoever_calls_too_often_is_told_when_to_come_back(tmp_path):
    settings = Settings(state=tmp_path, requests_per_s=0.5, request_burst=5)
    with running_service(settings) as service:
        answers = [service.call("GET", "jobs", token="ana") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
        assert answers[-1].json()["error"] == "limit_reached"
        service.ok("GET", "jobs", token="cat")
        capabilities = {
            "name": "r",
            "kinds": ["train"],
            "device": "cpu",
            "memory_bytes": 1,
            "disk_bytes": 1,
            "cores": 1,
        }
        for _ in range(10):
            service.ok("POST", "runner/next", token="runner", body={"capabilities": capabilities})


def test_a_long_poll_counts_once(tmp_path):
    with running_service(Settings(state=tmp_path, requests_per_s=0.01, request_burst=20, recheck_s=0.05)) as service:
        job = service.submit()
        calls = 0
        while service.call("GET", f"jobs/{job['id']}/events?after=1&wait=0.5", token="ana").is_success:
            calls += 1
            assert calls < 30
        assert calls >= 10, "each looked into the database many times"


def test_a_body_that_does_not_arrive_is_given_up(shared):
    base = shared.client.base_url
    head = (
        f"POST /services/axonlab/api/v1/jobs HTTP/1.1\r\nHost: {base.host}\r\nAuthorization: Bearer ana\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    began = time.monotonic()
    with socket.create_connection((base.host, base.port), timeout=10) as line:
        line.sendall(head.encode())
        answer = b"".join(iter(lambda: line.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "did not arrive within 2 s" in answer
    assert time.monotonic() - began < 8


def test_a_slow_upload_goes_on_while_pieces_come(shared):
    data = b"0123456789"
    blob = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    (ticket,) = shared.ok("POST", "uploads", token="ana", body={"blobs": [blob]})["tickets"]

    def pieces():
        for n in range(5):
            time.sleep(0.6)  # a slow line: in all longer than a JSON request may take
            yield data[2 * n : 2 * n + 2]

    answer = httpx.put(f"{shared.client.base_url}/services/axonlab/{ticket['parts'][0]['url']}", content=pieces())
    assert answer.status_code == 204, answer.text
