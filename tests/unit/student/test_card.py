"""The card with real widgets, moved by a real service over HTTP; a runner's part is played by its own source port."""

import subprocess
import sys
import threading
import time
from itertools import pairwise

import ipywidgets
import pytest

import axonlab
from axonlab import job_handle
from axonlab_core.contract.errors import JobFailed, Unavailable, UserError
from axonlab_core.contract.events import LogEvent, MetricEvent, ProgressEvent, StepEvent, WarningEvent
from axonlab_core.contract.states import Reason

from . import bundles
from .service import bring, claimed_run, serving

WIDGET = "application/vnd.jupyter.widget-view+json"


def comes(true, *, within_s=15):
    """Whether it comes true; what is looked at is written by another thread."""
    until = time.monotonic() + within_s
    while not (found := true()) and time.monotonic() < until:
        threading.Event().wait(0.02)
    return found


@pytest.fixture
def data(grey, classes):
    return axonlab.dataset({"a": grey}, {"a": classes})


@pytest.fixture
def show(ana):
    """Gives cards, and sees that no thread of theirs is left."""
    cards = []

    def give(job):
        cards.append(job.card())
        return cards[-1]

    yield give
    for card in cards:
        card.close()
    ana.session.close()
    assert comes(lambda: not following()), following()


def following():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("axonlab-")]


def test_a_training_from_the_queue_to_its_result(url, ana, data, show, tmp_path):
    before = ana.train(data, steps=1)
    job = ana.train(data, steps=40, name="<first> & best")
    card = show(job)
    assert isinstance(card.widget, ipywidgets.VBox)
    assert comes(lambda: "(1 before this one" in card.bar.value)
    assert "queued" in card.headline.value
    assert "&lt;first&gt; &amp; best" in card.headline.value
    assert (card.cancel.disabled, card.resubmit.disabled) == (False, True)
    before.cancel()
    assert comes(lambda: "(next" in card.bar.value)
    with claimed_run(url) as run:
        assert run.claim.job_id == job.id
        assert comes(lambda: "running" in card.headline.value)
        run.send_events(0, [StepEvent(name="fetch_inputs", status="started")])
        assert comes(lambda: "Fetch the images …" in card.bar.value)
        run.send_events(
            1,
            [
                StepEvent(name="fetch_inputs", status="done", duration_s=1.0),
                StepEvent(name="execute", status="started"),
                MetricEvent(step=5, values={"loss": 0.75}),
                MetricEvent(step=10, values={"loss": 0.3125, "val_dice_axon": 0.861}),
                WarningEvent(message="the pixel size is <unknown>"),
                ProgressEvent(done=10, total=40, remaining_s=65),
                LogEvent(stream="stdout", text="half a li"),
            ],
        )
        assert comes(lambda: "25 %, 10 of 40 steps, about 1 min 5 s left" in card.bar.value)
        assert 'value="10" max="40"' in card.bar.value
        for latest in ("loss <b>0.312</b>", "axon <b>0.861</b>"):
            assert latest in card.numbers.value
        assert card.numbers.value.count("<polyline") == 2
        assert "the pixel size is &lt;unknown&gt;" in card.outcome.value
        run.send_events(8, [LogEvent(stream="stdout", text="ne <b>\n")])
        assert comes(lambda: "half a line &lt;b&gt;" in card.log.value)
        assert "execute: started" in card.log.value
        bring(run, bundles.train_bundle(tmp_path / "brought", data.sha256))
    assert comes(lambda: "succeeded" in card.headline.value)
    assert card.wait(15)
    assert f'href="{url}/jobs/{job.id}"' in card.outcome.value
    assert card.bar.value == ""
    assert (card.cancel.disabled, card.resubmit.disabled) == (True, False)
    assert job.details.state == "succeeded"


def test_the_buttons_cancel_and_repeat(url, ana, data, show):
    job = ana.train(data, steps=7)
    card = show(job)
    card.cancel.click()
    assert comes(lambda: "cancelled" in card.headline.value)
    assert card.wait(15)
    assert "Submit it again if that was a mistake." in card.outcome.value
    assert card.cancel.disabled
    assert comes(lambda: not card.resubmit.disabled)
    card.resubmit.click()
    card.resubmit.click()
    assert comes(lambda: card.repetition.children)
    again = next(job for job in ana.jobs(state="queued"))
    assert len(ana.jobs()) == 2
    assert again.details.resubmitted_from == job.id
    assert again.details.spec == job.details.spec
    assert again.id in card.outcome.value
    assert card.resubmit.disabled
    with claimed_run(url) as run:
        again.cancel()
        headline = again.card().headline
        assert comes(lambda: "running" in headline.value or "stopping" in headline.value)
        run.fail(Reason.cancelled_by_user, "", [])
        assert comes(lambda: "cancelled" in headline.value)


def test_a_click_that_is_refused_is_explained_and_the_button_comes_back(ana, data, show):
    job = ana.train(data, steps=7)
    card = show(job)
    job.cancel()
    assert comes(lambda: not card.resubmit.disabled)
    ana.session.close()
    card.resubmit.click()
    assert comes(lambda: "This connection was closed." in card.outcome.value)
    assert comes(lambda: not card.resubmit.disabled)


def test_a_failure_is_shown_with_its_remedy(url, ana, data, show):
    job = ana.train(data, steps=7)
    card = show(job)
    with claimed_run(url) as run:
        run.fail(Reason.out_of_memory, "The image <a> is too large.", [])
    assert card.wait(15)
    assert "failed (out of memory)" in card.headline.value
    assert "The image &lt;a&gt; is too large." in card.outcome.value
    assert "What to do: Use smaller images" in card.outcome.value
    assert not card.resubmit.disabled


def test_a_run_that_is_handed_back_starts_over(url, ana, data, show):
    job = ana.train(data, steps=40)
    card = show(job)
    with claimed_run(url) as run:
        run.send_events(0, [ProgressEvent(done=30, total=40)])
        assert comes(lambda: "30 of 40" in card.bar.value)
        run.release("The machine is wanted elsewhere.")
    assert comes(lambda: "queued" in card.headline.value)
    assert "30 of 40" not in card.bar.value


def test_a_job_that_is_over_shows_its_whole_story_at_once(url, ana, data, show):
    job = ana.train(data, steps=40)
    with claimed_run(url) as run:
        for n in range(3):
            run.send_events(
                400 * n,
                [MetricEvent(step=400 * n + k, values={"loss": 1.0 / (1 + 400 * n + k)}) for k in range(400)],
            )
        run.fail(Reason.timeout, "", [])
    card = show(ana.job(job.id))
    assert card.wait(15)
    assert "loss 0.001 after step 1199" in card.numbers.value
    assert len(card.numbers.value) < 12_000
    assert "timeout" in card.headline.value


def test_it_is_shown_once_in_a_cell_and_lives_on_in_the_next(ana, data, show):
    job = ana.train(data, steps=1)
    card = show(job)
    assert show(job) is card
    assert len(following()) == 1
    bundle = card.bundle()
    assert bundle[WIDGET]["model_id"] == card.widget.model_id
    assert "queued" in bundle["text/html"]
    assert bundle["text/plain"] == repr(job)


def test_a_card_that_was_closed_is_made_anew(ana, data, show):
    job = ana.train(data, steps=1)
    first = show(job)
    first.close()
    assert first.is_closed
    second = show(job)
    assert second is not first
    assert WIDGET in second.bundle()
    assert comes(lambda: "(next" in second.bar.value)


def test_updates_come_at_most_four_times_a_second(url, ana, data, show):
    job = ana.train(data, steps=400)
    card = show(job)
    seen = []
    card.bar.observe(lambda _: seen.append(time.monotonic()), "value")
    with claimed_run(url) as run:
        begun = time.monotonic()
        for n in range(60):
            run.send_events(n, [ProgressEvent(done=n, total=400)])
        assert comes(lambda: "59 of 400" in card.bar.value)
        took = time.monotonic() - begun
    assert len(seen) <= 2 + 4 * took + 1
    assert min(later - sooner for sooner, later in pairwise(seen)) >= 0.24


def test_waiting_in_a_notebook_shows_the_card_and_no_bar(  # noqa: PLR0917 (fixtures)
    url, ana, data, show, monkeypatch, capfd, tmp_path
):
    monkeypatch.setattr(job_handle, "in_notebook", lambda: True)
    job = ana.train(data, steps=1)
    other = ana.train(data, steps=2)
    assert other.wait(timeout_s=0.1).details.state == "queued"
    capfd.readouterr()

    def runner():
        with claimed_run(url) as run:
            bring(run, bundles.train_bundle(tmp_path / "brought", data.sha256))

    thread = threading.Thread(target=runner)
    thread.start()
    assert job.wait().details.state == "succeeded"
    thread.join()
    shown = capfd.readouterr()
    assert "%|" not in shown.err
    other.cancel()
    with pytest.raises(JobFailed, match="cancelled"):
        other.wait()
    show(other)


def test_a_service_that_goes_away_is_said_and_waited_for(tmp_path, grey, classes, show):
    data = axonlab.dataset({"a": grey}, {"a": classes})
    with serving(tmp_path / "other") as (url, _):
        client = axonlab.connect(url, "ana-token")
        job = client.train(data, steps=1)
        card = show(job)
        assert comes(lambda: "(next" in card.bar.value)
    assert comes(lambda: "cannot be reached" in card.outcome.value)
    assert "trying again" in card.outcome.value
    assert 'role="alert"' in card.outcome.value
    assert following()
    port = int(url.split(":")[2].split("/")[0])
    with serving(tmp_path / "other", port=port):
        assert comes(lambda: "cannot be reached" not in card.outcome.value, within_s=30)
        job.cancel()
        assert card.wait(20)
        assert "cancelled" in card.headline.value
    client.session.close()


def test_waiting_gives_up_when_the_service_is_away_for_minutes(tmp_path, grey, classes, show, monkeypatch):
    monkeypatch.setattr(job_handle, "in_notebook", lambda: True)
    monkeypatch.setattr(job_handle, "_PATIENCE_S", 0.5)
    with serving(tmp_path / "other") as (url, _):
        client = axonlab.connect(url, "ana-token")
        job = client.train(axonlab.dataset({"a": grey}, {"a": classes}), steps=1)
    with pytest.raises(Unavailable, match="cannot be reached"):
        job.wait()
    assert following(), "the card goes on trying"
    show(job)
    client.session.close()


def test_a_token_that_has_ended_is_said_and_ends_the_watching(service, ana, data, show):
    people = service[1].app.state.identities.people
    job = ana.train(data, steps=1)
    card = show(job)
    assert comes(lambda: "(next" in card.bar.value)
    person = people.pop("ana-token")
    assert card.wait(15)
    assert "does not know this token" in card.outcome.value
    people["ana-token"] = person
    job.cancel()
    assert show(job) is card
    assert card.wait(15)
    assert "cancelled" in card.headline.value
    assert "does not know" not in card.outcome.value


def test_a_process_ends_though_its_card_still_follows(url, ana, data):
    job = ana.train(data, steps=1)
    code = (
        "import axonlab, sys\n"
        f"card = axonlab.connect({url!r}, 'ana-token').job({job.id!r}).card()\n"
        "card.wait(1)\n"
        "print(card.headline.value)\n"
    )
    begun = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "queued" in ended.stdout
    assert time.monotonic() - begun < 15


def test_without_widgets_there_is_plain_html(url, ana, data, monkeypatch):
    job = ana.train(data, steps=40)
    assert set(job._repr_mimebundle_()) == {"text/plain"}
    monkeypatch.setattr(job_handle, "in_notebook", lambda: True)
    monkeypatch.setattr(job_handle, "has_widgets", lambda: False)
    assert "queued" in job._repr_mimebundle_()["text/html"]
    with claimed_run(url) as run:
        run.send_events(
            0, [MetricEvent(step=10, values={"loss": 0.5, "val_dice_axon": 0.75}), ProgressEvent(done=10, total=40)]
        )
        found = job._repr_mimebundle_()["text/html"]
        for part in ("running", "10 of 40 steps", "loss <b>0.500", "axon <b>0.750", "<svg", "<progress"):
            assert part in found, part
        run.fail(Reason.timeout, "Too slow.", [])
    ana.session.close()
    assert "This connection was closed." in job._repr_mimebundle_()["text/html"]
    assert following() == []


def test_without_widgets_asking_for_a_card_says_what_to_install(ana, data, monkeypatch):
    monkeypatch.setattr("axonlab.job_card.has_widgets", lambda: False)
    with pytest.raises(UserError, match=r"ipywidgets"):
        ana.train(data, steps=1).card()
