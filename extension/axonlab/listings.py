"""Jobs and models as tables: read in a notebook or a terminal, and gone through one by one in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from axonlab.comparison import html_table, text_table
from axonlab.job_handle import Job
from axonlab.job_words import duration_words, local_time, run_time_s, state_words
from axonlab_core.contract.models import ModelsAnswer, ModelSummary, PublishedModelEntry, TrainedModelEntry

ModelEntry = TrainedModelEntry | PublishedModelEntry
_JOB_HEADER = ("id", "kind", "name", "state", "course", "owner", "submitted", "took")
_MODEL_HEADER = ("from", "name", "classes", "validation Dice", "pixel size (µm)", "preset", "made")
_WIDE = 60


class JobTable(Sequence[Job]):
    """Jobs, newest first."""

    def __init__(self, jobs: tuple[Job, ...], *, more: bool = False, left_out: int = 0) -> None:
        self._jobs = jobs
        self.more = more
        """Whether there are older ones."""
        self.left_out = left_out
        """How many were of a kind that this version does not know."""

    @overload
    def __getitem__(self, index: int) -> Job: ...

    @overload
    def __getitem__(self, index: slice) -> JobTable: ...

    def __getitem__(self, index: int | slice) -> Job | JobTable:
        """One of them by its place, or a part of the table."""
        return JobTable(self._jobs[index]) if isinstance(index, slice) else self._jobs[index]

    def __len__(self) -> int:
        """Number of jobs."""
        return len(self._jobs)

    def __repr__(self) -> str:
        table = text_table(*self._columns()) if self._jobs else "No jobs."
        return "\n".join([table, *self._notes()])

    def _repr_html_(self) -> str:
        table = html_table(*self._columns()) if self._jobs else "<p>No jobs.</p>"
        return table + "".join(f"<p>{note}</p>" for note in self._notes())

    def _columns(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows; without the owner where all jobs are of one."""
        rows = self._rows()
        shown = [n for n, name in enumerate(_JOB_HEADER) if name != "owner" or len({row[n] for row in rows}) > 1]
        return tuple(_JOB_HEADER[n] for n in shown), [tuple(row[n] for n in shown) for row in rows]

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for job in (handle.details for handle in self._jobs):
            took = run_time_s(job)
            rows.append(
                (
                    job.id,
                    job.kind.value,
                    _one_line(job.spec.name),
                    state_words(job),
                    job.course or "",
                    job.owner,
                    local_time(job.created_at),
                    "" if took is None else duration_words(took),
                )
            )
        return rows

    def _notes(self) -> list[str]:
        notes: list[str] = []
        if self.more:
            notes.append("There are older ones: ask with a larger limit.")
        if self.left_out:
            notes.append(f"{self.left_out} of a kind that this version does not know: update axonlab.")
        return notes


class ModelTable(Sequence[ModelEntry]):
    """Your own models, newest first, then those of your courses."""

    def __init__(self, answer: ModelsAnswer) -> None:
        self.answer = answer
        self._entries: tuple[ModelEntry, ...] = (*answer.mine, *answer.published)

    @overload
    def __getitem__(self, index: int) -> ModelEntry: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ModelEntry, ...]: ...

    def __getitem__(self, index: int | slice) -> ModelEntry | tuple[ModelEntry, ...]:
        """One of them by its place, or some."""
        return self._entries[index]

    def __len__(self) -> int:
        """Number of models."""
        return len(self._entries)

    def __iter__(self) -> Iterator[ModelEntry]:
        """Go through them."""
        return iter(self._entries)

    def __repr__(self) -> str:
        table = text_table(_MODEL_HEADER, self._rows()) if self._entries else "No models."
        return "\n".join([table, *self._notes()])

    def _repr_html_(self) -> str:
        table = html_table(_MODEL_HEADER, self._rows()) if self._entries else "<p>No models.</p>"
        return table + "".join(f"<p>{note}</p>" for note in self._notes())

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for entry in self._entries:
            if isinstance(entry, TrainedModelEntry):
                origin, at = f"job {entry.job_id}", entry.finished_at
            else:
                origin, at = f"course {entry.course}", entry.published_at
            rows.append((origin, _one_line(entry.name), *_summary(entry.summary), local_time(at)))
        return rows

    def _notes(self) -> list[str]:
        return ["You have older ones: a job's id names them all the same."] if self.answer.more else []


def _summary(summary: ModelSummary | None) -> tuple[str, str, str, str]:
    """Classes, Dice, pixel size and preset, as far as they are known."""
    if summary is None:
        return ("no card", "", "", "")
    dice = [
        f"{name} {summary.scores[name].dice:.2f}"
        for name in summary.classes[1:]
        if name in summary.scores and summary.scores[name].dice is not None
    ]
    size = "" if summary.pixel_size_um is None else f"{summary.pixel_size_um:g}"
    return (", ".join(summary.classes), f"{', '.join(dice)} ({summary.scope})" if dice else "–", size, summary.preset)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_WIDE]
