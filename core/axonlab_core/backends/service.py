"""Calls to the service: values in, values out, errors as our own exceptions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar
from urllib.parse import urljoin

import httpx
from pydantic import ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from axonlab_core.contract.base import Value
from axonlab_core.contract.errors import (
    AxonlabError,
    BadInput,
    ErrorAnswer,
    PlatformError,
    Unavailable,
    UserError,
    error_from_answer,
)

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=Value)
Query = Mapping[str, str | int | float | Sequence[str]]
"""Parameters by name; several values make it appear several times."""
API = "api/v1/"
_TIMEOUT_S = 30.0
_AWAY = frozenset({502, 503, 504})


class ServiceSession:
    """A connection to one service with one token. Calls are safe to repeat, so they are repeated for `patience_s`."""

    def __init__(self, url: str, token: str, *, patience_s: float = 30.0, user_agent: str = "axonlab") -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"{url!r} is not the address of a service.", remedy="Write http(s)://host/services/axonlab.")
        self.url = url.rstrip("/") + "/"
        self.patience_s = patience_s
        """For how long to try again while the service is away; may be shortened while a call is trying."""
        self._has_answered = False
        limits = httpx.Timeout(_TIMEOUT_S, connect=5.0)
        headers = {"User-Agent": user_agent}
        self._api = httpx.Client(timeout=limits, headers={**headers, "Authorization": f"Bearer {token}"})
        # Links carry their own permission: whoever serves them must never see the token.
        self.links = httpx.Client(timeout=limits, headers=headers, follow_redirects=False)

    def __enter__(self) -> Self:
        """Enter a block at whose end the connections are closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; a call of another thread that this breaks off is not tried again."""
        self.patience_s = 0.0
        self._api.close()
        self.links.close()

    def link_url(self, url: str) -> str:
        """The absolute form of a ticket's URL."""
        return urljoin(self.url, url)

    def call(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        body: Value | None = None,
        query: Query | None = None,
        wait_s: float = 0.0,
        timeout_s: float = _TIMEOUT_S,
        patience_s: float | None = None,
    ) -> Answer:
        """The service's answer to one call.

        Parameters
        ----------
        wait_s : float
            For how long the service may hold the answer back (long poll), in seconds.
        timeout_s : float
            For how long to wait beyond that, in seconds.
        patience_s : float, optional
            For how long to try again while the service is away; the session's own if not given.

        Raises
        ------
        UserError, PlatformError
            As the service says; `Unavailable` when it cannot be reached.
        """

        def once() -> Answer:
            response = self._send(method, path, body, query, wait_s + timeout_s)
            try:
                return answer.read_answer(response.content)
            except ValidationError as error:
                raise PlatformError(
                    f"The service's answer to {method} {path} makes no sense here ({error.error_count()} faults).",
                    remedy="Update axonlab here, or ask the operator which version the service has.",
                ) from error

        return persist(once, patience_s=lambda: self.patience_s if patience_s is None else patience_s)

    def _send(
        self, method: str, path: str, body: Value | None, query: Query | None, timeout_s: float
    ) -> httpx.Response:
        try:
            response = self._api.request(
                method,
                urljoin(self.url, API + path),
                content=None if body is None else body.model_dump_json(),
                headers={"Content-Type": "application/json"} if body is not None else {},
                params=query,
                timeout=httpx.Timeout(timeout_s, connect=5.0),
            )
        except RuntimeError as error:
            if not self._api.is_closed:
                raise
            raise UserError("This connection was closed.", remedy="Connect again: axonlab.connect().") from error
        except httpx.TransportError as error:
            raise Unavailable(
                f"The Axonlab service at {self.url} cannot be reached ({type(error).__name__}).",
                remedy="Check the address and the network; if both are right, ask the operator.",
            ) from error
        if not response.is_success:
            raise self._error(response, f"{method} {path}")
        self._has_answered = True
        return response

    def _error(self, response: httpx.Response, what: str) -> AxonlabError:
        try:
            error = error_from_answer(response.status_code, ErrorAnswer.read_answer(response.content))
        except ValidationError:
            # Not our service's words: a proxy between us and it. Where the service has answered before, it is
            # the hub that is starting again and does not know its way there yet.
            message = f"{what} was answered {response.status_code} by something that is not the Axonlab service."
            if self._has_answered or response.status_code in _AWAY:
                return Unavailable(message, remedy="It may be starting; try again in a minute.")
            return PlatformError(message, remedy="Check AXONLAB_SERVICE_URL.")
        self._has_answered = True
        if "Retry-After" in response.headers:
            error.retryable = True  # too fast, not too much: the same call will do a little later
        return error


Result = TypeVar("Result")


def persist(attempt: Callable[[], Result], *, patience_s: Callable[[], float]) -> Result:
    """What `attempt` returns, tried again with growing pauses while it fails for a reason that may pass.

    The patience is counted from the first failure, so that an attempt which took long is tried again too, and
    asked for again each time: whoever is in a hurry by then need not wait.
    """
    failed_at: list[float] = []

    def is_over(_: RetryCallState) -> bool:
        failed_at.append(time.monotonic())
        return failed_at[-1] - failed_at[0] >= patience_s()

    for trial in Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, AxonlabError) and error.retryable),
        wait=wait_random_exponential(multiplier=0.2, max=5.0),
        stop=is_over,
        before_sleep=lambda state: logger.info(
            "trying again: %s", state.outcome.exception() if state.outcome is not None else ""
        ),
        reraise=True,
    ):
        with trial:
            return attempt()
    raise AssertionError  # pragma: no cover (Retrying ends by returning or raising)
