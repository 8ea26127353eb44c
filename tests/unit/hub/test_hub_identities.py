"""What the service believes about tokens, against a hub of a few lines on a real port."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from axonlab_core.contract.errors import Unavailable
from axonlab_hub.auth import HubIdentities


@pytest.fixture
def hub():
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(self.server.status)
            self.end_headers()
            model = {"name": "ana", "kind": "user", "groups": ["g"], "scopes": ["s"], "admin": False}
            self.wfile.write(json.dumps(model).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.asked, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Clock:
    now = 0

    def __call__(self):
        return self.now


def ask(hub, *tokens, cache_s=30.0, at_s=None):
    """Whose the tokens are, each asked for at its time."""
    clock = Clock()

    async def whose(identities, token, now):
        clock.now = now
        return await identities.person(token)

    async def scenario():
        identities = HubIdentities(f"http://127.0.0.1:{hub.server_port}/hub/api", cache_s=cache_s, clock=clock)
        try:
            return [
                await whose(identities, token, now)
                for token, now in zip(tokens, at_s or [0] * len(tokens), strict=True)
            ]
        finally:
            await identities.close()

    return asyncio.run(scenario())


def test_an_answer_is_believed_for_a_while_and_per_token(hub):
    first, again, later, other = ask(hub, "t1", "t1", "t1", "t2", at_s=[0, 10, 31, 31])
    assert first == again == later == other
    assert (first.name, first.groups, first.scopes) == ("ana", {"g"}, {"s"})
    assert hub.asked == [("/hub/api/user", f"token {token}") for token in ("t1", "t1", "t2")]


def test_what_the_hub_does_not_know_is_nobody_and_asked_again_after_a_while(hub):
    hub.status = 403
    assert ask(hub, "t", "t", "t", at_s=[0, 1, 6]) == [None, None, None]
    assert len(hub.asked) == 2


def test_a_flood_of_wrong_tokens_does_not_reach_the_hub(hub):
    async def scenario():
        identities = HubIdentities(f"http://127.0.0.1:{hub.server_port}/hub/api", cache_s=30, unknown_per_s=2)
        try:
            assert (await identities.person("good")).name == "ana"
            hub.status = 403
            refused = 0
            for n in range(200):
                try:
                    assert await identities.person(f"bad-{n}") is None
                except Unavailable:
                    refused += 1
            return refused, await identities.person("good")
        finally:
            await identities.close()

    refused, good = asyncio.run(scenario())
    assert refused > 100
    assert len(hub.asked) < 100
    assert good.name == "ana", "who is known goes on"


def test_a_hub_that_is_away_is_not_a_refusal(hub):
    hub.status = 502
    with pytest.raises(Unavailable, match="502"):
        ask(hub, "t")
    hub.server_close()
    with pytest.raises(Unavailable, match="does not answer"):
        ask(hub, "t")
