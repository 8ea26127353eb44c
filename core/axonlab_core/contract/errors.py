"""What can go wrong, and who can do something about it.

    AxonlabError
    ├── UserError              safe to show; says what to do next; 4xx; the command line ends with 2
    │   ├── BadInput           422  an image, a label file, a value, a parameter
    │   ├── NotSignedIn        401  no token, or one the hub does not know
    │   ├── NotAllowed         403  a valid token that lacks a scope; an expired or foreign link
    │   ├── NotFound           404  also for what belongs to somebody else
    │   ├── Conflict           409  the thing is in another state
    │   │   └── Fenced         409  a run that is no longer the job's current attempt
    │   ├── TooLarge           413  over a limit, with the numbers
    │   ├── LimitReached       429  too many at once
    │   └── JobFailed          422  the job ended without a result; carries its reason
    └── PlatformError          logged whole, shown as "not your doing"; 5xx; the command line ends with 1
        ├── Unavailable        503  try again: a service, a disk, a network that is away for a moment
        └── Unfit              500  this machine cannot run the job (no GPU, too little memory or disk)

One HTTP handler in the service and one place in the runner turn these into answers. There is no other
broad `except`.
"""

from __future__ import annotations

from typing import ClassVar

from axonlab_core.contract.base import Value


class ErrorAnswer(Value):
    """The JSON body of every answer that is not a success."""

    error: str
    """Name of the kind of error, e.g. `bad_input`."""
    message: str
    """What happened, and where."""
    remedy: str = ""
    """What to do next."""


class AxonlabError(Exception):
    """Root of the tree. `message` says what happened and where, `remedy` what to do next."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"
    retryable: bool = False
    """Whether the same call may succeed later."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def answer(self) -> ErrorAnswer:
        """The error as an answer's body."""
        return ErrorAnswer(error=self.code, message=self.message, remedy=self.remedy)


class UserError(AxonlabError):
    """Something the person can change."""

    status = 400
    code = "user_error"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: what happened and what to do, without the library's lines that found it."""
        return [f"{type(self).__name__}: {self}"]


class BadInput(UserError):
    """A file or a value that cannot be used as it is."""

    status = 422
    code = "bad_input"


class NotSignedIn(UserError):
    """No token, or one that the hub does not know."""

    status = 401
    code = "not_signed_in"


class NotAllowed(UserError):
    """A valid identity without the permission."""

    status = 403
    code = "not_allowed"


class NotFound(UserError):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    code = "not_found"


class Conflict(UserError):
    """The thing is in a state that does not allow this."""

    status = 409
    code = "conflict"


class Fenced(Conflict):
    """A call by a run that is no longer its job's current attempt: it must stop."""

    code = "fenced"


class TooLarge(UserError):
    """Over a size limit."""

    status = 413
    code = "too_large"


class LimitReached(UserError):
    """Too many at once."""

    status = 429
    code = "limit_reached"

    def __init__(self, message: str, *, remedy: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s
        """When it is worth trying again; None: nobody can say."""


class JobFailed(UserError):
    """A job ended without a result."""

    status = 422
    code = "job_failed"


class PlatformError(AxonlabError):
    """Not the person's doing."""

    code = "platform_error"


class Unavailable(PlatformError):
    """Away for a moment; the same call may succeed later."""

    status = 503
    code = "unavailable"
    retryable = True


class Unfit(PlatformError):
    """This machine cannot run the job."""

    code = "unfit"


def _tree(root: type[AxonlabError]) -> list[type[AxonlabError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


def error_from_answer(status: int, answer: ErrorAnswer) -> AxonlabError:
    """The exception that an answer describes; an unknown code falls back on its status."""
    # A process may have subclasses of its own, under the code of their parent: the parent is what was meant.
    kinds = {kind.code: kind for kind in reversed(_tree(AxonlabError))}
    fallback = next((kind for kind in _tree(UserError) if kind.status == status), None)
    kind = kinds.get(answer.error) or fallback or (PlatformError if status >= 500 else UserError)  # noqa: PLR2004
    return kind(answer.message, remedy=answer.remedy)
