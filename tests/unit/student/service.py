"""The real service on a loopback port, with people that it knows, and a runner that brings what it is told to."""

import socket
import threading
from contextlib import contextmanager

import uvicorn

from axonlab_core.backends.transfer import describe
from axonlab_core.contract.kinds import Capabilities, Kind
from axonlab_core.contract.tickets import FileBlob
from axonlab_hub.app import create_app
from axonlab_hub.auth import ACCESS, RUN, SUBMIT, Person
from axonlab_hub.settings import Settings
from axonlab_runner.source import ServiceSource

MACHINE = Capabilities(name="test", kinds=tuple(Kind), device="cpu", memory_bytes=8 * 10**9, disk_bytes=10**10, cores=2)


class KnownPeople:
    """Identities by token."""

    def __init__(self):
        self.people = {
            "ana-token": Person(name="ana", scopes=frozenset({ACCESS, SUBMIT})),
            "ben-token": Person(name="ben", scopes=frozenset({ACCESS, SUBMIT})),
            "runner-token": Person(name="runner", kind="service", scopes=frozenset({ACCESS, RUN})),
        }

    async def person(self, token):
        return self.people.get(token)

    async def close(self):
        return None


class Traffic:
    """Counts requests by method and path, in front of the service."""

    def __init__(self, app):
        self.app = app
        self.seen = []
        self.arrived = threading.Condition()
        self.puts_left = None

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            if scope["method"] == "PUT" and self.puts_left is not None:
                if self.puts_left == 0:
                    # As a proxy would say it whose own limit is reached.
                    await send({"type": "http.response.start", "status": 413, "headers": []})
                    await send({"type": "http.response.body", "body": b"too much"})
                    return
                self.puts_left -= 1
            with self.arrived:
                self.seen.append((scope["method"], scope["path"].partition("/api/v1/")[2]))
                self.arrived.notify_all()
        await self.app(scope, receive, send)

    def wait_for(self, method, start, timeout_s=30):
        """Whether such a request came, once it came or the time is over."""
        with self.arrived:
            return self.arrived.wait_for(lambda: self.count(method, start) > 0, timeout_s)

    def count(self, method, start):
        return sum(1 for seen, path in self.seen if seen == method and path.startswith(start))


@contextmanager
def serving(state, *, port=0):
    """Address of a running service and the traffic to it."""
    app = Traffic(create_app(Settings(state=state), identities=KnownPeople()))
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/services/axonlab", app
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def claimed_run(url, *, wait_s=20.0):
    """The next job, claimed by a runner; ends when the block does."""
    source = ServiceSource(url, "runner-token", patience_s=10)
    run = None
    try:
        job_id = source.next_job(MACHINE, wait_s=wait_s)
        assert job_id is not None, "no job turned up"
        run = source.claim(job_id, MACHINE)
        assert run is not None
        yield run
    finally:
        if run is not None:
            run.close()
        source.close()


def bring(run, results, *, belied=""):
    """Upload the files of a folder as the result of a run, with a manifest that belies one of them if told so."""
    paths = sorted(path for path in results.rglob("*") if path.is_file() and path.name != "MANIFEST.sha256")
    files = [FileBlob(path=p.relative_to(results).as_posix(), **describe(p).model_dump()) for p in paths]
    sums = results / "MANIFEST.sha256"
    sums.write_text("".join(f"{'0' * 64 if file.path == belied else file.sha256}  {file.path}\n" for file in files))
    files.append(FileBlob(path=sums.name, **describe(sums).model_dump()))
    run.save_results(results, files, lambda: None)
    run.complete(files)
