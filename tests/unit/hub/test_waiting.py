"""Long polls wake at once, and leave nothing behind."""

import asyncio
import threading
import time

import httpx
import pytest

from axonlab_hub.waiting import Notifier


async def _here():
    return False


def test_a_ring_from_another_thread_wakes_at_once():
    async def scenario():
        notifier = Notifier(recheck_s=60)
        notifier.start()
        value = []
        looked = threading.Event()

        def look():
            looked.set()
            return bool(value), len(value)

        waiting = asyncio.create_task(notifier.until(look, topic="t", wait_s=60, gone=_here))
        await asyncio.to_thread(looked.wait)

        def change():
            value.append(1)
            notifier.ring("t")

        began = time.monotonic()
        await asyncio.to_thread(change)
        assert await asyncio.wait_for(waiting, 5) == 1
        assert time.monotonic() - began < 1
        assert notifier.waiting == 0

    asyncio.run(scenario())


def test_another_replicas_change_is_seen_by_looking_again():
    async def scenario():
        notifier = Notifier(recheck_s=0.01)
        looks = iter(range(1, 100))

        def look():
            n = next(looks)
            return n == 3, n

        assert await notifier.until(look, topic="t", wait_s=60, gone=_here) == 3

    asyncio.run(scenario())


def test_the_answer_comes_when_the_time_is_over():
    async def scenario():
        notifier = Notifier(recheck_s=60)
        assert await notifier.until(lambda: (False, "nothing"), topic="t", wait_s=0.05, gone=_here) == "nothing"
        assert notifier.waiting == 0

    asyncio.run(scenario())


def test_whoever_hangs_up_leaves_no_waiter():
    async def scenario():
        notifier = Notifier(recheck_s=0.01)
        looks = []

        async def gone():
            return len(looks) >= 2

        def look():
            looks.append(1)
            return False, None

        await asyncio.wait_for(notifier.until(look, topic="t", wait_s=60, gone=gone), 5)
        assert notifier.waiting == 0
        looked = threading.Event()
        stuck = asyncio.create_task(
            notifier.until(lambda: (looked.set() or False, None), topic="t", wait_s=60, gone=_here)
        )
        await asyncio.to_thread(looked.wait)
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert notifier.waiting == 0

    asyncio.run(scenario())


def _poll(service, method, path, **more):
    """Start a long poll on another thread; returns once the service is waiting."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(service.ok(method, path, **more)))
    thread.start()
    ends_at = time.monotonic() + 5
    while not service.parts.notifier.waiting and time.monotonic() < ends_at:
        threading.Event().wait(0.005)
    assert service.parts.notifier.waiting == 1

    def result():
        thread.join(5)
        (answer,) = answers
        return answer

    return result


def test_events_wake_the_one_who_waits(service):
    job = service.submit()
    answer = _poll(service, "GET", f"jobs/{job['id']}/events?after=1&wait=30", token="ana")
    began = time.monotonic()
    service.ok("POST", f"jobs/{job['id']}/cancel", token="ana")
    told = answer()
    assert [event["body"]["state"] for event in told["events"]] == ["cancelled"]
    assert told["next_after"] == 2
    assert time.monotonic() - began < 1
    assert service.ok("GET", f"jobs/{job['id']}/events?after=2&wait=30", token="ana")["events"] == []


def test_a_submitted_job_wakes_a_runner(service):
    dataset = service.dataset()
    machine = {
        "name": "m",
        "kinds": ["train"],
        "device": "cpu",
        "memory_bytes": 10**10,
        "disk_bytes": 10**10,
        "cores": 1,
    }
    answer = _poll(service, "POST", "runner/next", token="runner", body={"capabilities": machine, "wait_s": 30})
    job = service.submit(dataset=dataset)
    assert answer()["job_id"] == job["id"]


def test_a_cancelled_job_wakes_its_heartbeat(service):
    job = service.submit()
    claim = service.claim(job["id"])
    answer = _poll(service, "POST", f"runs/{job['id']}/1/heartbeat", token=claim["token"], body={"wait_s": 30})
    service.ok("POST", f"jobs/{job['id']}/cancel", token="ana")
    assert answer()["cancel"] is True


def test_a_service_that_ends_answers_those_who_wait(service):
    machine = {"name": "m", "kinds": ["train"], "device": "cpu", "memory_bytes": 1, "disk_bytes": 1, "cores": 1}
    answer = _poll(service, "POST", "runner/next", token="runner", body={"capabilities": machine, "wait_s": 30})
    service.end()
    assert answer() == {"job_id": None, "kind": None}


def test_a_client_that_hangs_up_leaves_no_waiter(service):
    job = service.submit()
    seen = service.ok("GET", f"jobs/{job['id']}/events", token="ana")["next_after"]
    with pytest.raises(httpx.ReadTimeout):
        service.call("GET", f"jobs/{job['id']}/events?after={seen}&wait=30", token="ana", timeout=0.5)
    ends_at = time.monotonic() + 5
    while service.parts.notifier.waiting and time.monotonic() < ends_at:
        threading.Event().wait(0.01)
    assert service.parts.notifier.waiting == 0
