"""The parent of the service: keeps the socket open and starts the service again, should it be killed.

The hub would do that too, but looks at its services twice a minute only. Here a killed service is back in about
two seconds, and whoever calls meanwhile waits at the open socket instead of being refused. It ends when the hub
tells it to, or when the hub is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time

from axonlab_hub.settings import Settings

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_GOODBYE_S = 6.0
_STEADY_S = 10.0
_MAX_PAUSE_S = 5.0
_FIRST_PAUSE_S = 0.1
_BIND_PATIENCE_S = 10.0


def main() -> None:
    """Keep the service running."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings.from_environment()
    with listen(settings.service_port) as listener:
        asyncio.run(_keep_running(listener.fileno()))


def listen(port: int) -> socket.socket:
    """A listening socket on loopback.

    A predecessor that outlived its parent by a moment may still hold the port, so this tries for a while.
    """
    # The protocol is named, because asyncio switches Nagle's algorithm off only where it is: 40 ms a call.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ends_at = time.monotonic() + _BIND_PATIENCE_S
    while True:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(_FIRST_PAUSE_S)
        else:
            listener.listen(512)
            return listener


async def _keep_running(descriptor: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    parent = os.getppid()
    pause_s = _FIRST_PAUSE_S
    while not stop.is_set():
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "axonlab_hub.serve",
            str(descriptor),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[descriptor],
        )
        began = time.monotonic()
        ended = asyncio.create_task(child.wait())
        await _until(ended, stop, parent)
        if not ended.done():
            await _end(child, ended)
            return
        pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else min(2 * pause_s, _MAX_PAUSE_S)
        logger.error("the service ended with status %s; it is started again in %.1f s", child.returncode, pause_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s)


async def _until(ended: asyncio.Task[int], stop: asyncio.Event, parent: int) -> None:
    """Wait until the child ends, we are told to stop, or our own parent is gone."""
    told = asyncio.create_task(stop.wait())
    try:
        while not (ended.done() or told.done()) and os.getppid() == parent:
            await asyncio.wait({ended, told}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()


async def _end(child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    child.terminate()
    done, _ = await asyncio.wait({ended}, timeout=_GOODBYE_S)
    if not done:
        child.kill()
        await ended


if __name__ == "__main__":
    main()
