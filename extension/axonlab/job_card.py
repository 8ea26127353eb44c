"""A job's card in a notebook: it moves with the job, whatever else the kernel does meanwhile.

A thread follows the events and writes into the widgets; clicks arrive on another. One lock keeps them apart.
"""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from axonlab import job_html
from axonlab.follower import Follower
from axonlab.job_view import JobView
from axonlab.progress import has_widgets
from axonlab_core.contract import jobs as contract
from axonlab_core.contract.errors import AxonlabError, UserError
from axonlab_core.contract.events import EventsAnswer
from axonlab_core.contract.states import JobState

if TYPE_CHECKING:
    from axonlab.job_handle import Job


def require_widgets() -> None:
    """Pass if cards can be shown here.

    Raises
    ------
    UserError
        If the package ipywidgets is missing.
    """
    if not has_widgets():
        raise UserError(
            "A card needs ipywidgets, which is not installed here.", remedy="pip install 'axonlab[student]'"
        )


class JobCard:
    """The card of one job. `widget` is what ipywidgets may lay out together with others."""

    def __init__(self, job: Job) -> None:
        import ipywidgets as w  # noqa: PLC0415 (an eighth of a second that only who looks has to pay)

        self._job = job
        self._view = JobView(job.details)
        self._lock = threading.RLock()
        self._follower: Follower | None = None
        self._again: JobCard | None = None
        self._shown_at: tuple[Any, ...] | None = None
        self._display_id: str | None = None
        self.headline, self.bar, self.numbers, self.outcome, self.log = (w.HTML() for _ in range(5))
        self.headline.layout = w.Layout(flex="1 1 0", min_width="0")
        self.cancel = w.Button(
            description="Cancel", icon="stop", tooltip=f"Stop job {job.id}; what it has learnt is given up"
        )
        self.resubmit = w.Button(description="Resubmit", icon="repeat", tooltip="Ask for the same again, as a new job")
        self.cancel.on_click(lambda _: self._in_background(self.cancel, self._cancel))
        self.resubmit.on_click(lambda _: self._in_background(self.resubmit, self._resubmit))
        for button in (self.cancel, self.resubmit):
            button.layout = w.Layout(width="auto", flex="0 0 auto")
            _take_clicks_anywhere(button)
        self.repetition = w.VBox()
        """The card of the job that `Resubmit` made."""
        # Opened and closed by the browser alone: also by keyboard, and while the kernel is busy.
        switch = w.HTML("<details><summary>Log</summary></details>").add_class("axonlab-log-switch")
        self.log.add_class("axonlab-log-box")
        self.widget = w.VBox(
            [
                w.HTML(job_html.style(), layout=w.Layout(display="none")),
                w.HBox([self.headline, self.cancel, self.resubmit], layout=w.Layout(align_items="flex-start")),
                self.bar,
                self.numbers,
                self.outcome,
                switch,
                self.log,
                self.repetition,
            ]
        )
        self.widget.add_class(job_html.CLASS)
        self._render()

    @property
    def state(self) -> JobState:
        """What it shows."""
        return self._view.job.state

    @property
    def is_closed(self) -> bool:
        """Whether it was taken out of the notebook."""
        return self.widget.comm is None

    @property
    def error(self) -> AxonlabError | None:
        """Why nothing is heard of the job at present; None if all is well."""
        return None if self._follower is None else self._follower.error

    @property
    def away_s(self) -> float:
        """For how long the service has not answered, in seconds."""
        return 0.0 if self._follower is None else self._follower.away_s()

    def follow(self) -> None:
        """See that it moves: follow the job, unless it does already or the end has been seen."""
        with self._lock:
            if self._follower is not None and (self._follower.is_alive or self._follower.has_seen_the_end):
                return
            self._view.notice = ""
            self._follower = Follower(self._job, self._heard, self._hindered, after=self._view.after)
            self._follower.start()

    def wait(self, timeout_s: float) -> bool:
        """Whether nothing more is to come, once that is so or the time is over."""
        return self._follower is None or self._follower.join(timeout_s)

    def close(self) -> None:
        """Stop following, and take the card out of the notebook; the job goes on."""
        if self._follower is not None:
            self._follower.stop()
        if self._again is not None:
            self._again.close()
        with self._lock:
            self.widget.close()

    def show(self) -> None:
        """Show it in the cell that runs now."""
        if self.is_shown_in_this_cell():
            return
        from IPython.display import display  # noqa: PLC0415 (there is IPython where there is a notebook)

        self._shown_at, self._display_id = _cell(), f"axonlab-{uuid.uuid4().hex}"
        display(self.bundle(), raw=True, display_id=self._display_id)

    def settle(self) -> None:
        """Have the notebook's file say how it ended: widgets do not live there."""
        from IPython.display import update_display  # noqa: PLC0415 (as above)

        if self._display_id is not None:
            update_display(self.bundle(), raw=True, display_id=self._display_id)

    def is_shown_in_this_cell(self) -> bool:
        """Whether the cell that runs now has shown it: once is enough."""
        return self._shown_at is not None and self._shown_at == _cell()

    def bundle(self) -> dict[str, Any]:
        """The card, and what stands in its place where widgets do not live: in a terminal, in a saved notebook."""
        with self._lock:
            plain = job_html.plain_card(self._view, self._job.page_url)
        alive: Any = self.widget
        return {**alive._repr_mimebundle_(), "text/plain": repr(self._job), "text/html": plain}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self.bundle()

    def _heard(self, answer: EventsAnswer, now: contract.Job | None) -> None:
        with self._lock:
            self._view.feed(answer)
            if now is not None:
                self._view.job = now
            self._render()

    def _hindered(self, error: AxonlabError | None) -> None:
        words = ""
        if error is not None:
            todo = "The job goes on; trying again." if error.retryable else f"{error.remedy} Then show the card again."
            words = f"{error.message} {todo}"
        self._note(words)

    def _note(self, words: str) -> None:
        with self._lock:
            self._view.notice = words
            self._render()

    def _render(self) -> None:
        """Bring the widgets up to date; those that say the same as before send nothing."""
        view, job = self._view, self._view.job
        self.headline.value = job_html.headline(view)
        self.bar.value = job_html.bar(view)
        self.numbers.value = job_html.numbers(view)
        self.outcome.value = job_html.outcome(view, self._job.page_url)
        self.log.value = job_html.log(view)
        self.cancel.disabled = job.state.is_final or job.cancel_requested
        self.resubmit.disabled = not job.state.is_final or self._again is not None
        self.cancel.layout.display = "none" if job.state.is_final else None
        self.resubmit.layout.display = None if job.state.is_final else "none"
        for part in (self.bar, self.numbers):
            part.layout.display = None if part.value else "none"

    def _in_background(self, button: Any, work: Callable[[], None]) -> None:
        """Do it without holding up the kernel; what goes wrong is said in the card."""
        with self._lock:
            if button.disabled:
                return
            button.disabled = True

        def run() -> None:
            try:
                work()
            except AxonlabError as error:
                self._note(str(error))

        threading.Thread(target=run, name=f"axonlab-{self._job.id[:8]}-click", daemon=True).start()

    def _cancel(self) -> None:
        now = self._job.cancel().details
        with self._lock:
            if not self._view.job.state.is_final:
                self._view.job = now
            self._view.notice = ""
            self._render()

    def _resubmit(self) -> None:
        job = self._job.resubmit()
        again = job.card()
        with self._lock:
            self._again = again
            self.repetition.children = (again.widget,)
            self._view.notice = f"Submitted again as axonlab.job({job.id!r}): see below."
            self._render()


def _take_clicks_anywhere(button: Any) -> None:
    """See that a click arrives while a cell waits for the job.

    JupyterLab sends what happens to widgets to a second shell of the kernel. ipykernel 7.4 hands it on to the shell in
    which the widget was made, and that one is busy with the cell. Earlier versions do not ask for a route at all. A
    comm of our own class, which has no route either, would do it by public means alone, but would have to send what
    ipywidgets sends when a widget opens. `test_without_the_route_a_click_waits_for_the_cell` says when this may go.
    """
    button.comm._reply_subshell_for = lambda _data, sent_to: sent_to  # noqa: SLF001 (there is no public way)


def _cell() -> tuple[Any, ...] | None:
    """Which cell runs now; None where there are no cells."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return None if shell is None else (id(shell), shell.execution_count)
