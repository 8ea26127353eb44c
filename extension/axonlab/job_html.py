"""Parts of a job's picture, as HTML: of the card, and of the plain form where there are no widgets.

Whatever comes from outside is escaped. Nothing is said by colour alone.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path

from axonlab.job_view import JobView
from axonlab.job_words import duration_words, queue_words, remedy, run_time_s, state_words
from axonlab_core.contract.curve import curves_html
from axonlab_core.contract.events import ProgressEvent
from axonlab_core.contract.kinds import Kind
from axonlab_core.contract.states import JobState
from axonlab_core.contract.steps import step_words

CLASS = "axonlab-card"
_MARKS = {
    JobState.queued: "◷",
    JobState.running: "▶",
    JobState.succeeded: "✓",
    JobState.failed: "✗",
    JobState.cancelled: "■",
}
_TITLES = {Kind.train: "Training", Kind.infer: "Segmentation"}
_WORK = {Kind.train: "Train", Kind.infer: "Segment"}


@cache
def style() -> str:
    """What gives the card its looks."""
    return f"<style>{Path(__file__).with_name('job_card.css').read_text(encoding='utf-8')}</style>"


def plain_card(view: JobView, page_url: str) -> str:
    """State, bar, curves and what to do: what is shown where nothing can move."""
    parts = (headline(view), bar(view), numbers(view), outcome(view, page_url))
    return f'{style()}<div class="{CLASS}">{"".join(parts)}</div>'


def headline(view: JobView) -> str:
    """State, and which job it is."""
    job = view.job
    named = f" “{html.escape(job.spec.name)}”" if job.spec.name else ""
    again = f", attempt {job.attempt}" if job.attempt > 1 else ""
    took = run_time_s(job) if job.state.is_final else None
    after = f", took {duration_words(took)}" if took is not None else ""
    return (
        f'<div role="status" aria-live="polite" data-state="{job.state}">'
        f'<span class="axonlab-state {job.state}"><span aria-hidden="true">{_MARKS[job.state]}</span> '
        f"{html.escape(job.state if job.state == JobState.queued else state_words(job))}</span> "
        f'<b>{_TITLES[job.kind]}{named}</b><span class="axonlab-soft">{again}{after}</span></div>'
    )


def bar(view: JobView) -> str:
    """Lifecycle step, and how far the work is; nothing once the job is over."""
    job, progress = view.job, view.progress
    if job.state == JobState.queued:
        place = queue_words(job.queue_position, job.expected_start_s)
        waits = f"It waits for a runner{f' ({place})' if place else ''}; closing this notebook does not stop it."
        return "".join(f'<div class="axonlab-soft">{html.escape(line)}</div>' for line in (waits, job.message) if line)
    if job.state.is_final:
        return ""
    step = html.escape(_WORK[job.kind] if view.step == "execute" else step_words(view.step) or "Starting")
    if progress is None:
        return f'<div>{step} …</div><progress aria-label="{step}"></progress>'
    words = html.escape(progress_words(progress))
    message = f" · {html.escape(progress.message)}" if progress.message else ""
    total = max(1, progress.total)
    return (
        f"<div>{step}{message} · {words}</div>"
        f'<progress aria-label="{words}" value="{min(progress.done, total)}" max="{total}">{words}</progress>'
    )


def progress_words(progress: ProgressEvent) -> str:
    """How far, and how long it will still take."""
    share = f"{100 * progress.done / progress.total:.0f} %" if progress.total else ""
    count = "" if progress.unit == "%" else f"{progress.done} of {progress.total} {progress.unit}"
    left = f"about {duration_words(progress.remaining_s)} left" if progress.remaining_s is not None else ""
    return ", ".join(part for part in (share, count, left) if part)


def numbers(view: JobView) -> str:
    """Loss and Dice as curves, with their latest values; empty while there are none."""
    curves = curves_html(view.curves)
    return f'<div class="curves">{curves}</div>' if curves else ""


def outcome(view: JobView, page_url: str) -> str:
    """What went wrong and what to do, or what one can do next; notes on the way; where its page is."""
    job = view.job
    lines = [_line(f"Note: {html.escape(note)}", "axonlab-note") for note in view.warnings]
    if job.state in {JobState.failed, JobState.cancelled}:
        said = [f"<b>{html.escape(job.message)}</b>"] if job.message else []
        if todo := remedy(job.reason):
            said.append(f"What to do: {html.escape(todo)}")
        if said:
            lines.append(_line("<br>".join(said), "axonlab-note" if job.state == JobState.cancelled else "axonlab-bad"))
    if job.state == JobState.succeeded:
        lines.append(_line(f"Next: {_next(job.kind)}."))
    lines.append(_line(f"{_links(view, page_url)} · <code>axonlab.job({job.id!r})</code>", "axonlab-soft"))
    if view.notice:
        lines.append(_line(f'<span role="alert">{html.escape(view.notice)}</span>', "axonlab-note"))
    return f'<div class="axonlab-lines">{"".join(lines)}</div>'


def log(view: JobView) -> str:
    """The end of the log, scrolled to its last line."""
    text = html.escape(view.log_tail) or "Nothing yet."
    # Reversed, the box stays at its last line whenever the text is replaced.
    return (
        f'<div class="axonlab-log" role="log" aria-label="End of the job\'s log" tabindex="0"><pre>{text}</pre></div>'
    )


def _next(kind: Kind) -> str:
    if kind == Kind.infer:
        return "<code>result = job.result()</code>, then <code>axonlab.show_overlay(result)</code>"
    return "<code>model = job.result()</code>, or <code>axonlab.segment(images, model=job)</code>"


def _links(view: JobView, page_url: str) -> str:
    links = [_link(page_url, "Page of this job")]
    if view.job.state == JobState.succeeded:
        links.append(_link(f"{page_url}/report", "Report"))
        if view.job.kind == Kind.infer:
            links.append(_link(f"{page_url}#pictures", "Overlay"))
        links.append(_link(f"{page_url}#results", "Files"))
    return " · ".join(links)


def _link(url: str, words: str) -> str:
    return f'<a href="{html.escape(url)}" target="_blank" rel="noopener">{html.escape(words)}</a>'


def _line(content: str, kind: str = "") -> str:
    return f'<div class="{kind}">{content}</div>' if kind else f"<div>{content}</div>"
