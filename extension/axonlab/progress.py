"""How far a job is, as a bar in a notebook or a terminal: fed with the job's events, whoever tells them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Self

from axonlab_core.contract.events import EventBody, MetricEvent, ProgressEvent, StateEvent, StepEvent, WarningEvent
from axonlab_core.contract.states import JobState

_LOG_INTERVAL_S = 10.0
_DICE = "val_dice_"
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}{postfix}"
_FORMAT_PERCENT = "{desc}: {percentage:3.0f}%|{bar}|{postfix}"
_FORMAT_WITHOUT_TOTAL = "{desc} [{elapsed}]{postfix}"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def has_widgets() -> bool:
    """Whether the package ipywidgets is installed in this process's Python."""
    return find_spec("ipywidgets") is not None


def _bar(**options: Any) -> Any:
    from tqdm.auto import tqdm  # noqa: PLC0415 (a third of a second that only who waits has to pay)

    # A log file wants a line now and then, not a picture that moves.
    watched = in_notebook() or sys.stderr.isatty()
    return tqdm(mininterval=0.2 if watched else _LOG_INTERVAL_S, file=None if in_notebook() else sys.stderr, **options)


@contextmanager
def steps_bar(title: str, total: int, unit: str) -> Iterator[Any]:
    """A plain bar over `total` things; call its `update(n)`."""
    with _bar(desc=title, total=total, unit=f" {unit}") as bar:
        yield bar


@contextmanager
def bytes_bar(title: str, total_bytes: int) -> Iterator[Any]:
    """A bar over bytes that move; call its `update(n)`."""
    with _bar(desc=title, total=total_bytes, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        yield bar


class JobBar:
    """The bar of one job: lifecycle step or queue position, steps done, loss, Dice, remaining time."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._notes: dict[str, str] = {}
        self._bar = _bar(desc=title, total=None, bar_format=_FORMAT_WITHOUT_TOTAL)

    def __enter__(self) -> Self:
        """Show the bar until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it is."""
        self.close()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def queued(self, position: int | None) -> None:
        """Say how many jobs are before this one."""
        before = "" if position is None else " (next)" if position == 1 else f" ({position - 1} before this one)"
        self._say(f"queued{before}")

    def feed(self, body: EventBody) -> None:
        """Take in one event."""
        match body:
            case StateEvent(state=JobState.queued):
                self.queued(None)
            case StateEvent():
                self._notes.pop("left", None)
                self._say(body.state.value if body.reason is None else f"{body.state} ({body.reason})")
            case StepEvent(status="started"):
                self._say(body.name.replace("_", " "))
            case StepEvent(status="failed"):
                self._say(f"{body.name.replace('_', ' ')} failed")
            case ProgressEvent():
                self._advance(body)
            case MetricEvent():
                self._measure(body)
            case WarningEvent():
                self._bar.write(f"Note: {body.message}", file=None if in_notebook() else sys.stderr)
            case _:
                return

    def _say(self, text: str) -> None:
        self._bar.set_description_str(f"{self._title}: {text}")

    def _advance(self, body: ProgressEvent) -> None:
        bar = self._bar
        if bar.total != body.total or bar.unit != body.unit:
            bar.bar_format = _FORMAT_PERCENT if body.unit == "%" else _FORMAT
            bar.unit = body.unit
            bar.reset(total=body.total)
        if body.message:
            self._say(body.message)
        if body.remaining_s is not None:
            self._notes["left"] = bar.format_interval(max(0, body.remaining_s)) + " left"
        self._show_notes()
        bar.update(body.done - bar.n)

    def _measure(self, body: MetricEvent) -> None:
        if (loss := body.values.get("loss")) is not None:
            self._notes["loss"] = f"loss {loss:.3f}"
        dice = [f"{key.removeprefix(_DICE)} {value:.2f}" for key, value in body.values.items() if key.startswith(_DICE)]
        if dice:
            self._notes["dice"] = f"validation Dice: {', '.join(dice)}"
        self._show_notes()

    def _show_notes(self) -> None:
        order = ("loss", "dice", "left")
        text = ", ".join(self._notes[key] for key in order if key in self._notes)
        self._bar.set_postfix_str(text, refresh=False)
