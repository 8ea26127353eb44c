"""A visit to the hub as a student makes it: log in, start the own server, run a notebook in its kernel.

For the demo and for tests: everything goes through the proxy, over the same HTTP and websocket that a browser uses.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx
import nbformat
import websocket
from nbformat import NotebookNode

from axonlab_core.contract.errors import NotSignedIn, PlatformError, Unavailable, UserError

_TIMEOUT_S = 30.0
_TOKEN_LIFETIME_S = 3600
_SHOWN = frozenset({"stream", "display_data", "execute_result", "error"})


class CellFailed(UserError):
    """A cell of the notebook raised an error."""

    code = "cell_failed"


class Visit:
    """A student's session with the hub; `with` ends it, the student's server goes on."""

    def __init__(self, hub_url: str, name: str, password: str) -> None:
        self.name = name
        self._http = httpx.Client(base_url=hub_url.rstrip("/"), timeout=_TIMEOUT_S)
        try:
            self._log_in(password)
            self.token = self._make_token()
        except BaseException:
            self._http.close()
            raise
        self._http.cookies.clear()
        self._http.headers["Authorization"] = f"token {self.token}"

    def __enter__(self) -> Self:
        """Enter a block at whose end the connections are closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def start_server(self, *, timeout_s: float = 120.0) -> None:
        """Start the student's server, unless it runs, and wait until it is ready.

        Raises
        ------
        PlatformError
            If it does not start.
        """
        self._call("POST", f"/hub/api/users/{quote(self.name)}/server", well={400})  # 400: it runs already
        with self._http.stream(
            "GET", f"/hub/api/users/{quote(self.name)}/server/progress", timeout=timeout_s
        ) as progress:
            for line in progress.iter_lines():
                event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if event.get("ready"):
                    return
                if event.get("failed"):
                    raise PlatformError(f"The server of {self.name} did not start: {event.get('message')}")
        raise PlatformError(f"The server of {self.name} did not say that it is ready.")

    def stop_server(self) -> None:
        """Stop the student's server, and wait until it is gone."""
        path = f"/hub/api/users/{quote(self.name)}"
        ends_at = time.monotonic() + _TIMEOUT_S
        answer = self._call("DELETE", f"{path}/server")
        while answer.status_code == httpx.codes.ACCEPTED and time.monotonic() < ends_at:
            time.sleep(0.2)  # the hub has no event for this
            if not self._call("GET", path).json().get("servers"):
                return

    def read_notebook(self, path: str) -> NotebookNode:
        """A notebook from the student's folder."""
        answer = self._call("GET", f"{self._server}/api/contents/{quote(path)}")
        return nbformat.reads(json.dumps(answer.json()["content"]), as_version=4)

    def write_notebook(self, path: str, notebook: NotebookNode) -> None:
        """Write a notebook into the student's folder."""
        body = {"type": "notebook", "format": "json", "content": notebook}
        self._call("PUT", f"{self._server}/api/contents/{quote(path)}", json=body)

    def read_file(self, path: str) -> bytes:
        """A file from the student's folder."""
        return self._call("GET", f"{self._server}/files/{quote(path)}").content

    @contextmanager
    def kernel(self, notebook_path: str) -> Iterator[Kernel]:
        """A kernel of the student's server, in the notebook's folder."""
        session = self._call(
            "POST",
            f"{self._server}/api/sessions",
            json={
                "path": notebook_path,
                "name": notebook_path,
                "type": "notebook",
                "kernel": {"name": "python3"},
            },
        ).json()
        url = self._http.base_url
        url = url.copy_with(scheme=url.scheme.replace("http", "ws"))
        socket = websocket.create_connection(
            f"{str(url).rstrip('/')}{self._server}/api/kernels/{session['kernel']['id']}/channels",
            header=[f"Authorization: token {self.token}"],
            timeout=_TIMEOUT_S,
        )
        try:
            yield Kernel(socket)
        finally:
            socket.close()
            self._call("DELETE", f"{self._server}/api/sessions/{session['id']}")

    @property
    def _server(self) -> str:
        return f"/user/{quote(self.name)}"

    def _log_in(self, password: str) -> None:
        self._call("GET", "/hub/login")
        answer = self._call(
            "POST",
            "/hub/login",
            data={"username": self.name, "password": password, "_xsrf": self._xsrf()},
            well={403},
        )
        if answer.status_code == httpx.codes.FORBIDDEN or "login" in str(
            answer.next_request and answer.next_request.url
        ):
            raise NotSignedIn(f"The hub does not let {self.name} in.", remedy="Check the password.")

    def _make_token(self) -> str:
        answer = self._call(
            "POST",
            f"/hub/api/users/{quote(self.name)}/tokens",
            headers={"X-XSRFToken": self._xsrf()},
            json={"note": "axonlab visit", "expires_in": _TOKEN_LIFETIME_S},
        )
        return answer.json()["token"]

    def _xsrf(self) -> str:
        return next((cookie.value or "" for cookie in self._http.cookies.jar if cookie.name == "_xsrf"), "")

    def _call(self, method: str, path: str, *, well: set[int] | None = None, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except httpx.TransportError as error:
            raise Unavailable(f"The hub does not answer ({type(error).__name__}).", remedy="Is it running?") from error
        if answer.is_error and answer.status_code not in (well or set()):
            raise PlatformError(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
        return answer


class Kernel:
    """A kernel at the other end of a websocket."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._session = uuid.uuid4().hex

    def execute(self, cell: NotebookNode, *, timeout_s: float, on_wait: Callable[[], None] = lambda: None) -> None:
        """Execute a code cell and put its outputs into it.

        Raises
        ------
        CellFailed
            If it raises.
        Unavailable
            If it is not done in time.
        """
        request = self._send("execute_request", {"code": cell.source, "silent": False, "store_history": True})
        cell.outputs = []
        ends_at = time.monotonic() + timeout_s
        replied = idle = False
        while not (replied and idle):
            message = self._receive(ends_at, on_wait)
            if message.get("parent_header", {}).get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status":
                idle = content["execution_state"] == "idle"
            elif kind == "execute_reply":
                replied = True
                cell.execution_count = content.get("execution_count")
            elif kind in _SHOWN:
                cell.outputs.append(nbformat.v4.output_from_msg(message))
        for output in cell.outputs:
            if output.output_type == "error":
                raise CellFailed(f"{output.ename}: {output.evalue}", remedy="Look at the cell's traceback.")

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": kind, "session": self._session, "username": "", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._socket.send(json.dumps(message))
        return number

    def _receive(self, ends_at: float, on_wait: Callable[[], None]) -> dict[str, Any]:
        self._socket.settimeout(1.0)
        while time.monotonic() < ends_at:
            try:
                message = self._socket.recv()
                if isinstance(message, str):
                    return json.loads(message)
                # A widget's message with buffers: nothing that is shown in a notebook file.
            except websocket.WebSocketTimeoutException:
                on_wait()
            except websocket.WebSocketException as error:
                raise Unavailable(f"The connection to the kernel broke ({error}).", remedy="Try again.") from error
        raise Unavailable("The cell was not done in time.", remedy="Look at the job's state and log.")


def text_of(cell: NotebookNode) -> str:
    """What a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")
