"""Parts of a job's picture, as HTML: of the card, and of the plain form where there are no widgets.

Whatever comes from outside is escaped. Nothing is said by colour alone.
"""

from __future__ import annotations

import html

from axonlab.job_view import JobView
from axonlab.job_words import duration_words, local_time, remedy, run_time_s, state_words
from axonlab_core.contract.curve import curve_svg
from axonlab_core.contract.events import ProgressEvent
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState

_MARKS = {
    JobState.queued: ("◷", "#6b5d00"),
    JobState.running: ("▶", "#1a5fa0"),
    JobState.succeeded: ("✓", "#1e6b34"),
    JobState.failed: ("✗", "#a3271c"),
    JobState.cancelled: ("■", "#5a5a5a"),
}
_MUTED = "color: var(--jp-ui-font-color2, #555)"


def plain_card(view: JobView, page_url: str) -> str:
    """State, bar, latest numbers and curve: what is shown where nothing can move."""
    parts = (headline(view), bar(view), numbers(view), outcome(view, page_url))
    return f'<div style="max-width: 46em">{"".join(parts)}</div>'


def headline(view: JobView) -> str:
    """State, and which job it is."""
    job = view.job
    mark, colour = _MARKS[job.state]
    named = f" “{html.escape(job.spec.name)}”" if job.spec.name else ""
    of = f" · {html.escape(job.course)}" if job.course else ""
    again = f" · attempt {job.attempt}" if job.attempt > 1 else ""
    took = run_time_s(job) if job.state.is_final else None
    after = f" · after {duration_words(took)}" if took is not None else ""
    return (
        '<div role="status" aria-live="polite" style="line-height: 1.5">'
        f'<span style="color: {colour}; font-weight: 600"><span aria-hidden="true">{mark}</span> '
        f"{html.escape(state_words(job))}</span>"
        f' <span style="font-weight: 600">{job.kind}{named}</span>'
        f' <span style="{_MUTED}">{job.id}{of}{again}{after}</span></div>'
    )


def bar(view: JobView) -> str:
    """Lifecycle step, and how far the work is; nothing once the job is over."""
    job, progress = view.job, view.progress
    if job.state == JobState.queued:
        why = job.message or "It waits for a runner; closing this notebook does not stop it."
        return f'<div style="{_MUTED}">{html.escape(why)}</div>'
    if job.state.is_final:
        return ""
    step = html.escape(view.step or "starting")
    if progress is None:
        return f'<div>{step}</div><progress aria-label="{step}" style="width: 100%"></progress>'
    words = html.escape(progress_words(progress))
    message = f" · {html.escape(progress.message)}" if progress.message else ""
    total = max(1, progress.total)
    return (
        f"<div>{step}{message} · {words}</div>"
        f'<progress aria-label="{words}" value="{min(progress.done, total)}" max="{total}" style="width: 100%">'
        f"{words}</progress>"
    )


def progress_words(progress: ProgressEvent) -> str:
    """How far, and how long it will still take."""
    share = f"{100 * progress.done / progress.total:.0f} %" if progress.total else ""
    count = "" if progress.unit == "%" else f"{progress.done} of {progress.total} {progress.unit}"
    left = f"about {duration_words(progress.remaining_s)} left" if progress.remaining_s is not None else ""
    return ", ".join(part for part in (share, count, left) if part)


def numbers(view: JobView) -> str:
    """The latest loss and Dice in words, and their curve."""
    words = view.curves.in_words()
    curve = f'<div style="overflow-x: auto">{curve_svg(view.curves)}</div>'
    return f"<div>{html.escape(words)}</div>{curve}" if words else ""


def outcome(view: JobView, page_url: str) -> str:
    """What went wrong and what to do, or where the result is; and notes on the way."""
    job = view.job
    lines = [f"Note: {html.escape(note)}" for note in view.warnings]
    if job.state in {JobState.failed, JobState.cancelled}:
        if job.message:
            lines.append(f"<b>{html.escape(job.message)}</b>")
        if todo := remedy(job.reason):
            lines.append(f"What to do: {html.escape(todo)}")
    if job.state == JobState.succeeded:
        lines.append(_links(view, page_url))
    elif job.state.is_final:
        lines.append(_link(page_url, "This job on the hub's page"))
    if view.notice:
        lines.append(f'<span role="alert">{html.escape(view.notice)}</span>')
    return "".join(f"<div>{line}</div>" for line in lines)


def log(view: JobView) -> str:
    """The end of the log, scrolled to its last line."""
    text = html.escape(view.log_tail) or "Nothing yet."
    # Reversed, the box stays at its last line whenever the text is replaced.
    return (
        '<div role="log" aria-label="End of the job\'s log" tabindex="0" style="display: flex; '
        'flex-direction: column-reverse; max-height: 16em; overflow: auto">'
        f'<pre style="margin: 0; line-height: 1.35; font-size: 12px; white-space: pre-wrap">{text}</pre></div>'
    )


def times(view: JobView) -> str:
    """When it was asked for, began and ended, in one line."""
    job = view.job
    found = (("submitted", job.created_at), ("started", job.started_at), ("ended", job.finished_at))
    return ", ".join(f"{what} {local_time(at)}" for what, at in found if at is not None)


def _links(view: JobView, page_url: str) -> str:
    if view.job.kind == Kind.infer:
        page = f"{_link(page_url, 'Result')} · {_link(f'{page_url}#pictures', 'Overlay')} (pages of the hub)"
        return f"{page}; in Python <code>job.result()</code> and <code>axonlab.show_overlay(job)</code>"
    use = "axonlab.segment(images, model=job)"
    return f"{_link(page_url, 'Result')} (page of the hub); in Python <code>job.result()</code> and <code>{use}</code>"


def _link(url: str, words: str) -> str:
    return f'<a href="{html.escape(url)}" target="_blank" rel="noopener">{html.escape(words)}</a>'
