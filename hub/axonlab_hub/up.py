"""A whole classroom on one machine: the hub with its service, and a runner."""

from __future__ import annotations

import fcntl
import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from axonlab_core.contract.errors import Conflict, Unavailable, UserError
from axonlab_hub.configure import passwords, proxy_command
from axonlab_hub.settings import Settings, child_environment
from axonlab_hub.tether import tethered

if TYPE_CHECKING:
    from axonlab_hub.lab.lab import Lab

logger = logging.getLogger(__name__)

_CONFIG = Path(__file__).with_name("jupyterhub_config.py")
_PORTS = {"http": 80, "https": 443}
_START_S = 180.0
_LOOK_S = 0.2
_STOP_S = 45.0  # a runner saves and uploads a checkpoint before it goes
_TIMEOUT_S = 2.0
_MAX_PAUSE_S = 30.0
_STEADY_S = 60.0


@dataclass
class Classroom:
    """A running classroom."""

    settings: Settings
    passwords: dict[str, str]
    """Of `student`s and `teacher`s; on a lab server, of the people who have just got their first one."""
    hub: subprocess.Popen[bytes]
    people: int | None = None
    """On a lab server, how many are on the roster."""
    warnings: tuple[str, ...] = ()
    runner: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where people log in."""
        return self.settings.url

    @property
    def service_url(self) -> str:
        """Where the service is, through the hub's proxy."""
        return self.settings.public_service_url

    @property
    def hub_log(self) -> Path:
        """What hub and service say."""
        return self.settings.hub_folder / "hub.log"

    @property
    def runner_log(self) -> Path:
        """What the runner says."""
        return self.settings.hub_folder / "runner.log"

    @property
    def health_urls(self) -> tuple[str, str]:
        """Where the service says that it is up: itself, and through the hub's proxy, which learns of it later."""
        path = self.settings.service_prefix.rstrip("/") + "/api/v1/health"
        proxy = self.settings.bind_url.rstrip("/").replace("//0.0.0.0", "//127.0.0.1")
        return f"http://127.0.0.1:{self.settings.service_port}{path}", f"{proxy}{path}"


@contextmanager
def open_classroom(settings: Settings, *, with_runner: bool = True) -> Iterator[Classroom]:
    """A classroom that is up; at the end of the block every process of it has ended.

    Raises
    ------
    Conflict
        If there is one in this state folder already, or the port is taken.
    Unavailable
        If it does not come up.
    """
    with ExitStack() as stack:
        if settings.lan:
            _check_lab(settings)
        settings.hub_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(_alone(settings))
        _check_port(settings)
        _check_proxy()
        lab = _lab(settings) if settings.lan else None
        settings = settings.model_copy(update=_inner_ports(settings))
        command = [sys.executable, "-m", "jupyterhub", "-f", str(_CONFIG)]
        hub = stack.enter_context(_process(command, settings.hub_folder / "hub.log", child_environment(settings)))
        room = Classroom(settings=settings, passwords={}, hub=hub)
        _await_health(room)
        if lab is None:
            room.passwords = passwords(settings)
        else:
            room.passwords, room.people, room.warnings = lab.admit(), len(lab.roster.roles), lab.certificate.warnings
        if with_runner:
            stack.enter_context(_runner(room, lab))
        yield room


def _check_lab(settings: Settings) -> None:
    from axonlab_hub.lab.ground import check  # noqa: PLC0415 (what it needs is slow to import, and of no use to a demo)

    check(settings)


def _lab(settings: Settings) -> Lab:
    from axonlab_hub.lab.lab import Lab  # noqa: PLC0415 (see above)

    return Lab.prepare(settings)


def runner_command(room: Classroom) -> list[str]:
    """The command that starts a runner of this classroom."""
    settings = room.settings
    command = [str(Path(sys.executable).with_name("axonlab")), "runner", "--service", settings.inner_service_url]
    command += ["--token-file", str(settings.runner_token_file.resolve())]
    # A lab server may have a GPU; for a demo, the same everywhere is worth more.
    return [*command, "--device", "auto" if settings.lan else "cpu"]


def up(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Run a classroom until Ctrl+C or SIGTERM."""
    started, stop = threading.Event(), threading.Event()

    def ask_to_stop(*_: object) -> None:
        first = not stop.is_set()
        stop.set()
        if first and not started.is_set():
            raise KeyboardInterrupt  # leaves the wait for the hub; a second signal does not disturb the clearing up

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    say("Starting JupyterHub, the service and a runner …")
    with open_classroom(settings) as room:
        started.set()
        say(_welcome(room))
        while not stop.wait(1.0):
            if room.hub.poll() is not None:
                raise Unavailable(f"JupyterHub ended with status {room.hub.returncode}.", remedy=f"See {room.hub_log}.")
        say("Stopping …")


def _welcome(room: Classroom) -> str:
    head = f"\nAxonlab is up at {room.url}\n\n"
    where = f"  jobs       {room.service_url}/\n  logs       {room.hub_log}, {room.runner_log}\n\n"
    return head + (_welcome_to_lab(room) + where if room.settings.lan else _welcome_here(room, where))


def _welcome_here(room: Classroom, where: str) -> str:
    course = room.settings.course
    return (
        f"  students   any name, password  {room.passwords['student']}   (course {course})\n"
        f"  teachers   any name, password  {room.passwords['teacher']}   (staff of {course})\n\n"
        f"{where}"
        "All students share one system user of this machine and one password: whoever can log in can read\n"
        "the files of all of them. It listens on this machine only. Ctrl+C stops it; state is kept.\n"
    )


def _welcome_to_lab(room: Classroom) -> str:
    settings = room.settings
    said = [f"  course     {settings.course}, {room.people} people, each with a system user of their own"]
    if room.passwords:
        new = len(room.passwords)
        said.append(f"  passwords  {new} new ones in {settings.first_passwords_file}: hand them out, then delete it")
    return "\n".join([*said, *(f"\n! {warning}\n" for warning in room.warnings)]) + "\n"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the state folder; the lock ends with this process, however it ends."""
    with (settings.hub_folder / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Axonlab is running already with its state in {settings.state}.",
                remedy="Stop it first, or give another --state and --port.",
            ) from None
        yield


def _check_port(settings: Settings) -> None:
    parts = urlsplit(settings.bind_url)
    port = parts.port or _PORTS[parts.scheme]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parts.hostname or "127.0.0.1", port))
        except OSError as error:
            raise Conflict(f"Port {port} is taken.", remedy="Give another one with --port.") from error


def _check_proxy() -> None:
    if shutil.which(proxy_command()[-1]) is None:
        raise UserError(
            "The hub's proxy is not installed here.",
            remedy=f"npm install --global --prefix {sys.prefix} configurable-http-proxy@5.3.0",
        )


def _inner_ports(settings: Settings) -> dict[str, int]:
    """A free port for each part that nobody calls from outside and that was not given one."""
    names = [name for name in ("hub_port", "proxy_port", "service_port") if name not in settings.model_fields_set]
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}


@contextmanager
def _process(
    command: list[str], log: Path, environment: dict[str, str], system_user: dict[str, Any] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that logs to a file and is asked to end at the end of the block."""
    with log.open("ab") as file:
        start = partial(subprocess.Popen[bytes], **system_user) if system_user else subprocess.Popen[bytes]
        process = start(
            tethered(command),  # should we be killed, nothing of the classroom stays behind
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl+C reaches us alone, and we end things in order
        )
    try:
        yield process
    finally:
        stop_process(process)


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; it is killed if it does not within some seconds."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        logger.warning("%s did not end and is killed", process.args)
        process.kill()
        process.wait()


def _await_health(room: Classroom) -> None:
    ends_at = time.monotonic() + _START_S
    # Loopback, and nothing is told: whose certificate it is does not matter here.
    with httpx.Client(timeout=_TIMEOUT_S, verify=False) as client:  # noqa: S501
        urls = list(room.health_urls)
        while time.monotonic() < ends_at and room.hub.poll() is None:
            if _healthy(client, urls[0]):
                urls.pop(0)
                if not urls:
                    return
            time.sleep(_LOOK_S)  # nothing tells us: hub, proxy and service each come up in their own time
    ended = room.hub.poll()
    what = f"did not come up within {_START_S:.0f} s" if ended is None else f"ended with status {ended}"
    raise Unavailable(f"JupyterHub {what}.", remedy=f"See {room.hub_log}: its last lines say why.")


def _healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False


@contextmanager
def _runner(room: Classroom, lab: Lab | None) -> Iterator[None]:
    """A runner that is started again, with growing pauses, should it end."""
    over, first = threading.Event(), threading.Event()
    command, environment, system_user = runner_command(room), child_environment(room.settings), None
    if lab is not None:
        command, environment, system_user = lab.runner(command, environment)

    def keep() -> None:
        pause_s = 1.0
        while not over.is_set():
            with _process(command, room.runner_log, environment, system_user) as process:
                room.runner = process
                first.set()
                began = time.monotonic()
                while process.poll() is None and not over.wait(_LOOK_S):
                    pass
            if over.wait(pause_s):
                return
            logger.warning("the runner ended with status %s and is started again", process.returncode)
            pause_s = 1.0 if time.monotonic() - began > _STEADY_S else min(2 * pause_s, _MAX_PAUSE_S)

    thread = threading.Thread(target=keep)
    thread.start()
    first.wait(_STOP_S)
    try:
        yield
    finally:
        over.set()
        thread.join()
