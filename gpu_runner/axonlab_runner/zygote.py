"""The warm parent: it has imported what every job needs, holds nothing secret, and forks whoever is asked for.

Run as `python -m axonlab_runner.zygote SOCKET` in a scrubbed environment. A request on the socket names what to
fork, with its arguments, environment and folder, and brings three file descriptors to be its standard streams.
The answer is the process's number at once, and its exit status when it has ended. Whoever hangs up before has
their process killed; when standard input ends (the runner is gone, however) all are killed and the parent ends.
Should the parent itself be killed, its children's owners notice that the connection has ended, and end them.

Only our own job notebooks run in processes forked here. CUDA is never touched before the fork: it would not
survive it.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from axonlab_core.contract.base import Value

logger = logging.getLogger(__name__)

_MAX_REQUEST_BYTES = 256 * 1024
_STREAMS = 3


class ForkRequest(Value):
    """What to fork."""

    what: str
    """`execute` or `kernel`."""
    arguments: tuple[str, ...] = ()
    environment: dict[str, str]
    folder: str


@dataclass
class _Child:
    """A forked process, and who asked for it."""

    number: int
    connection: socket.socket
    handle: int
    """A descriptor that can be read once the process has ended."""


def _execute(arguments: tuple[str, ...]) -> None:
    from axonlab_runner.execute import main  # noqa: PLC0415 (imported already, by `_prepare`)

    del arguments
    main()


def _kernel(arguments: tuple[str, ...]) -> None:
    from ipykernel.kernelapp import launch_new_instance  # noqa: PLC0415 (imported already, by `_prepare`)

    # Its default was read from the environment when ipykernel was imported, which was here.
    launch_new_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])


_WHAT: dict[str, Callable[[tuple[str, ...]], None]] = {"execute": _execute, "kernel": _kernel}


def _prepare() -> None:
    """Import what job notebooks import, so that their kernels need not."""
    import ipykernel.ipkernel  # noqa: PLC0415
    import ipykernel.kernelapp  # noqa: F401, PLC0415

    import axonlab_runner.execute  # noqa: F401, PLC0415
    from axonlab_core.learning.rehearsal import rehearse  # noqa: PLC0415

    rehearse()
    gc.collect()
    gc.freeze()  # what is here now is never collected, so its pages stay shared with every child


class Zygote:
    """The parent's loop."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, _Child] = {}

    def serve(self) -> None:
        """Fork on request until standard input ends."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(0, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._end()
                    return
                key.data()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(5)  # whoever asks is our own runner; it does not dawdle
        streams: list[int] = []
        try:
            request = _receive(connection, streams)
            number = os.fork()
        except (OSError, ValueError) as error:
            logger.warning("nothing was forked: %s", error)
            connection.close()
            _close(streams)
            return
        if number == 0:
            self._become(request, streams)
        _lead_a_group(number)
        _close(streams)
        handle = os.pidfd_open(number)
        child = _Child(number, connection, handle)
        self._children[number] = child
        self._selector.register(handle, selectors.EVENT_READ, lambda: self._ended(child))
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._hung_up(child))
        _tell(connection, {"process": number})

    def _become(self, request: ForkRequest, streams: list[int]) -> NoReturn:
        """Turn the forked copy into what was asked for."""
        status = 1
        try:
            self._selector.close()
            self._listener.close()
            for child in self._children.values():
                child.connection.close()
                os.close(child.handle)
            for target, stream in enumerate(streams):
                os.dup2(stream, target)
                os.close(stream)
            os.setpgid(0, 0)
            os.environ.clear()
            os.environ.update(request.environment)
            os.chdir(request.folder)
            sys.argv = [request.what, *request.arguments]
            _WHAT[request.what](request.arguments)
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # noqa: BLE001 whatever it is, this process ends below and nobody else would tell of it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _ended(self, child: _Child) -> None:
        _, status, usage = os.wait4(child.number, 0)
        self._selector.unregister(child.handle)
        if child.connection in self._selector.get_map():
            self._selector.unregister(child.connection)
        os.close(child.handle)
        del self._children[child.number]
        usage_bytes = usage.ru_maxrss * 1024  # Linux counts in KiB
        end = {"status": os.waitstatus_to_exitcode(status), "peak_memory_bytes": usage_bytes}
        _tell(child.connection, end)
        child.connection.close()

    def _hung_up(self, child: _Child) -> None:
        """Whoever asked for it is gone: so is the process, as soon as its end has been noticed."""
        self._selector.unregister(child.connection)
        if child.number in self._children:
            _kill(child)

    def _end(self) -> None:
        for child in self._children.values():
            _kill(child)
        for child in list(self._children.values()):
            os.waitpid(child.number, 0)


def _lead_a_group(number: int) -> None:
    """What the child does itself, too: whoever comes first, the group is there before anybody signals it."""
    try:
        os.setpgid(number, number)
    except ProcessLookupError:
        logger.info("process %d has ended already", number)


def _kill(child: _Child) -> None:
    try:
        os.killpg(child.number, signal.SIGKILL)
    except ProcessLookupError:
        logger.info("process %d has ended already", child.number)


def _receive(connection: socket.socket, streams: list[int]) -> ForkRequest:
    """A request; the descriptors that came with it are put into `streams`."""
    text, received, _, _ = socket.recv_fds(connection, _MAX_REQUEST_BYTES, _STREAMS)
    streams += received
    while not text.endswith(b"\n"):
        more = connection.recv(_MAX_REQUEST_BYTES)
        if not more or len(text) + len(more) > _MAX_REQUEST_BYTES:
            raise ValueError("the request is not whole")
        text += more
    request = ForkRequest.model_validate_json(text)
    if len(streams) != _STREAMS or request.what not in _WHAT:
        raise ValueError(f"{request.what} with {len(streams)} streams")
    return request


def _tell(connection: socket.socket, content: dict[str, int]) -> None:
    try:
        connection.sendall(json.dumps(content).encode() + b"\n")
    except OSError as error:
        logger.info("nobody wanted to know %s: %s", content, error)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def main(path: Path) -> None:
    """Prepare, then serve requests on the socket at `path`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the runner; its children set their own handlers
    _prepare()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(8)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        Zygote(listener).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
