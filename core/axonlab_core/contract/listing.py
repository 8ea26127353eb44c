"""Jobs in a list, page by page, newest first."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from axonlab_core.contract.base import CourseName, Identifier, Value
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState

_Text = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")]
_NEWER = frozenset({"union_tag_invalid", "literal_error", "enum"})


class JobsQuery(Value):
    """Which jobs to list: one's own; with a course of which one is staff, everybody's of it."""

    state: tuple[JobState, ...] = ()
    """Empty: whatever their state; several may be named."""
    kind: tuple[Kind, ...] = ()
    course: CourseName | None = None
    assignment: _Text | None = None
    owner: _Text | None = None
    """Somebody else's only together with a course of which one is staff."""
    before: Identifier | None = None
    """Those that are older than this job: `next_before` of the page before."""
    limit: int = Field(default=50, ge=1, le=200)


class JobsAnswer(Value):
    """Jobs, newest first; ask again with `before=next_before` for those that follow."""

    jobs: tuple[Job, ...]
    next_before: Identifier | None = None
    """Id of the last job of this page; None where no older one follows."""
    left_out: int = 0
    """How many jobs of this page the reader does not understand: of a kind that is newer than it is."""

    @classmethod
    def read_answer(cls, text: str | bytes) -> JobsAnswer:
        """As every answer, and jobs that ask for what this version does not know are left out and counted."""
        raw: dict[str, Any] = _json_object.validate_json(text)
        known: list[Job] = []
        entries = raw.get("jobs", [])
        for entry in entries:
            try:
                known.append(Job.model_validate(entry, extra="ignore"))
            except ValidationError as error:
                if not all(problem["type"] in _NEWER for problem in error.errors()):
                    raise
        return cls(jobs=tuple(known), next_before=raw.get("next_before"), left_out=len(entries) - len(known))


_json_object = TypeAdapter[dict[str, Any]](dict[str, Any])
