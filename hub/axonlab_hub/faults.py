"""What goes wrong, as answers."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from axonlab_core.contract.errors import (
    AxonlabError,
    BadInput,
    ErrorAnswer,
    LimitReached,
    NotSignedIn,
    PlatformError,
    error_from_answer,
)
from axonlab_core.contract.plain_words import in_plain_words

logger = logging.getLogger(__name__)

FaultAnswer = Callable[[Request, Exception], Awaitable[JSONResponse]]

NOT_YOUR_DOING = ErrorAnswer(
    error=PlatformError.code,
    message="Something went wrong in the service. This is not your doing.",
    remedy="Try again in a minute; if it stays so, tell the operator at what time it happened.",
)
_AGAIN = "Correct it and send the request again."
# What FastAPI itself says, in our words.
_FRAMEWORK = {
    "Not Found": ("There is nothing at this address.", "Check the address and the method."),
    "Method Not Allowed": ("This address does not take this method.", "Check the address and the method."),
}


def add_fault_answers(app: FastAPI) -> None:
    """Let `app` answer every fault with an ErrorAnswer."""
    for kind, answer in FAULT_ANSWERS.items():
        app.add_exception_handler(kind, answer)


def error_response(error: AxonlabError) -> JSONResponse:
    """The answer that tells of `error`."""
    return _answer(error.status, error.answer())


def _answer(status: int, body: ErrorAnswer, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AxonlabError)  # noqa: S101 (registered for it)
    if not isinstance(error, PlatformError):
        return _answer(error.status, error.answer(), _headers(error))
    logger.error("%s was answered %d", _what(request), error.status, exc_info=error)
    said = error.answer() if error.retryable else NOT_YOUR_DOING
    return _answer(error.status, said, {"Retry-After": "1"} if error.retryable else None)


def _headers(error: AxonlabError) -> dict[str, str]:
    if isinstance(error, NotSignedIn):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, LimitReached) and error.retry_after_s is not None:
        return {"Retry-After": str(math.ceil(error.retry_after_s))}
    return {}


async def _bad_request(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for it)
    return error_response(BadInput(_of_request(error.errors()), remedy=_AGAIN))


def _of_request(problems: Sequence[Any]) -> str:
    if problems[0]["type"] == "json_invalid":
        return "The request's body is not JSON."
    if set(problems[0]["loc"]) <= {"body"}:
        return "The request's body must be a JSON object, sent with `Content-Type: application/json`."
    return in_plain_words(problems)


async def _http(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
    if error.status_code == status.HTTP_400_BAD_REQUEST:  # FastAPI's word for bytes that are no text at all
        return error_response(BadInput("The request's body is not JSON.", remedy=_AGAIN))
    message, remedy = _FRAMEWORK.get(
        error.detail, (f"{error.detail.rstrip('.')}.", "Check the address, the method and the body.")
    )
    said = ErrorAnswer(error="", message=message, remedy=remedy)
    named = error_from_answer(error.status_code, said).answer()
    return _answer(error.status_code, named, dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s failed", _what(request), exc_info=error)
    return _answer(PlatformError.status, NOT_YOUR_DOING)


FAULT_ANSWERS: dict[type[Exception], FaultAnswer] = {
    AxonlabError: _ours,
    RequestValidationError: _bad_request,
    HTTPException: _http,
    Exception: _unexpected,
}
"""What is answered to which fault."""


def _what(request: Request) -> str:
    """Method and route of a request; not its path, which may be a link and so a permission."""
    return f"{request.method} {getattr(request.scope.get('route'), 'path', 'an unknown route')}"
