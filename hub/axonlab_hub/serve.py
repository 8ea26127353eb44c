"""The service as a process: it serves one listening socket until it is told to stop or its parent is gone."""

from __future__ import annotations

import logging
import socket
import sys
import threading

import uvicorn
from fastapi import FastAPI

from axonlab_hub.app import create_app
from axonlab_hub.settings import Settings

_GOODBYE_S = 3
_KEEP_ALIVE_S = 75
"""Longer than the proxy keeps a connection: whoever reuses one last must not find it closed."""


class Server(uvicorn.Server):
    """A server that answers its long polls before it ends, instead of breaking them off."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        app = self.config.app
        assert isinstance(app, FastAPI)  # noqa: S101 (see main)
        app.state.parts.notifier.stop()
        await super().shutdown(sockets)


def main(descriptor: int) -> None:
    """Serve the socket with that file descriptor."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for talkative in ("httpx", "alembic"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    settings = Settings.from_environment()
    config = uvicorn.Config(
        create_app(settings),
        access_log=False,  # a link's path is its permission
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GOODBYE_S,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    server = Server(config)
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    with socket.socket(fileno=descriptor) as listener:
        server.run([listener])


def _end_with_parent(server: Server) -> None:
    # Standard input is a pipe that the parent holds: it ends when the parent does, however that happens.
    sys.stdin.buffer.read()
    server.should_exit = True


if __name__ == "__main__":
    main(int(sys.argv[1]))
