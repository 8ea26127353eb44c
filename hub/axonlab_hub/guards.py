"""Limits and headers for every request, as plain ASGI so that streams pass through untouched."""

from __future__ import annotations

import asyncio

from starlette import status
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from axonlab_core.contract.errors import TooLarge
from axonlab_hub.faults import error_response

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Headers:
    """Adds headers that keep answers out of caches and other people's pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in _HEADERS if h[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Refuses bodies over a size, counted as they arrive; links have their own, exact limit."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, spare: str) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._spare = spare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith(self._spare):
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await error_response(self._too_large())(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._max_bytes:
                raise HTTPException(TooLarge.status, self._too_large().message)  # FastAPI lets no other error pass
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The request's body is larger than {self._max_bytes} bytes.", remedy="Send fewer things at a time."
        )


class BodyDeadline:
    """Gives up on bodies that do not arrive: a request as a whole, an upload piece by piece."""

    def __init__(self, app: ASGIApp, *, timeout_s: float, by_piece: str) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._by_piece = by_piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        by_piece = scope["path"].startswith(self._by_piece)
        ends_at = loop.time() + self._timeout_s
        complete = False

        async def in_time() -> Message:
            nonlocal complete
            if complete:  # what follows is the end of the connection, which may come when it likes
                return await receive()
            try:
                async with asyncio.timeout_at(loop.time() + self._timeout_s if by_piece else ends_at):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    status.HTTP_408_REQUEST_TIMEOUT, f"The request's body did not arrive within {self._timeout_s:g} s"
                ) from None
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, in_time, send)
