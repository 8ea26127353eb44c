"""The first lesson in JupyterLab behind the real hub: run, watch, cancel, repeat, and see the page and its overlay."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from axonlab_hub.demo import LESSON

from .notebook import RUN_MS, Notebook, Watched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

ROOT = Path(__file__).parents[2]
CELLS = json.loads((ROOT / "notebooks" / LESSON).read_text(encoding="utf-8"))["cells"]
NUMBERS = {cell["id"]: number for number, cell in enumerate(CELLS)}
AS_IT_IS = "minutes=2"
SHORT = "steps=6, batch=2, tile_px=96"
"""What a student in a hurry writes into the lesson's cell instead."""
TOO_LONG = """again = axonlab.train(known, steps=4000, batch=2, tile_px=96, name="too long")
again"""
TRAINED_MS = 200_000
WINDOW = {"width": 1100, "height": 900}


@pytest.fixture
def lesson(open_tab):
    """The lesson, open in ana's own JupyterLab."""
    notebook = Notebook(open_tab(viewport=WINDOW))
    notebook.log_in("ana")
    notebook.open("lessons", "01_first_model.ipynb")
    notebook.tab.picture("lesson-open")
    expect(notebook.page.get_by_text("Jupyter news")).to_have_count(0)
    return notebook


@pytest.mark.parametrize(
    "budget",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(AS_IT_IS, id="whole", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_a_student_runs_the_lesson(lesson, runner, classroom, budget):
    """The whole one makes the pictures of the documentation."""
    look_at_the_data(lesson)
    if budget != AS_IT_IS:
        lesson.write("".join(CELLS[NUMBERS["train"]]["source"]).replace(AS_IT_IS, budget))
    training = lesson.run()
    expect(training.get_by_role("status")).to_contain_text("queued")
    expect(training).to_contain_text("It waits for a runner (next")
    lesson.tab.picture("lesson-queued")
    watched = Watched(training)
    with runner():
        if budget == AS_IT_IS:
            take_the_picture_for_the_documentation(lesson, training)
        watch_the_training(lesson, training, watched)
        segment_and_measure(lesson)
        cancel_and_repeat(lesson)
    the_theme_may_be_dark(lesson)
    the_file_keeps_the_cards(lesson, classroom.settings.state / "homes" / "ana" / LESSON)


def look_at_the_data(lesson):
    lesson.select(0)
    for cell in CELLS[: NUMBERS["train"]]:
        done = lesson.run()
        if cell["cell_type"] == "code":
            lesson.is_done(done)


def take_the_picture_for_the_documentation(lesson, training):
    """The notebook alone, as it looks when most of the training is done."""
    lesson.page.keyboard.press("Control+b")
    lesson.page.set_viewport_size({"width": 860, "height": 800})
    lesson.page.wait_for_function(
        "(cell) => cell.querySelector('progress[value]')?.position > 0.6",
        arg=training.element_handle(),
        timeout=TRAINED_MS,
    )
    training.scroll_into_view_if_needed()
    lesson.page.locator(".jp-NotebookPanel:visible").screenshot(path=lesson.tab.place("for-docs-notebook"))
    lesson.page.keyboard.press("Control+b")
    lesson.page.set_viewport_size(WINDOW)


def watch_the_training(lesson, training, watched):
    tab, card = lesson.tab, training.locator(".axonlab-card")
    expect(card.get_by_role("status")).to_contain_text("running")
    card.get_by_text("Log", exact=True).click()
    expect(card.get_by_role("log")).to_contain_text("execute: started", timeout=RUN_MS)
    expect(card.locator("figure")).to_have_count(2, timeout=RUN_MS)
    tab.picture("lesson-running")
    expect(card.get_by_role("status")).to_contain_text("succeeded", timeout=TRAINED_MS)
    seen = watched.seen()
    assert seen["states"] == ["queued", "running", "succeeded"]
    assert len(seen["done"]) >= 3
    assert seen["done"] == sorted(seen["done"])
    assert len(seen["points"]) >= 3, "the curve has grown before one's eyes"
    assert seen["points"] == sorted(seen["points"])
    lesson.is_done(training)
    tab.picture("lesson-succeeded")
    expect(card.get_by_role("button", name="Resubmit")).to_be_visible()
    expect(card.get_by_role("button", name="Cancel")).to_be_hidden()
    with lesson.opened_by(card.get_by_role("link", name="Page of this job")) as opened:
        page = opened.page
        expect(page.get_by_role("heading", name="first model")).to_be_visible()
        expect(page.locator(".state")).to_have_text("succeeded")
        expect(page.locator("#curves polyline")).to_have_count(4)
        expect(page.locator("#log pre")).to_contain_text("execute: done")
        opened.picture("lesson-page")


def segment_and_measure(lesson):
    for number in range(NUMBERS["trained"], NUMBERS["next"]):
        lesson.select(number)
        done, cell = lesson.run(), CELLS[number]
        if cell["cell_type"] != "code":
            continue
        lesson.is_done(done)
        lesson.tab.picture(f"lesson-{cell['id']}")
        if cell["id"] == "segment":
            see_the_overlay(lesson, done.locator(".axonlab-card"))


def see_the_overlay(lesson, card):
    expect(card.get_by_role("status")).to_contain_text("succeeded")
    with lesson.opened_by(card.get_by_role("link", name="Overlay")) as opened:
        overlay = opened.page.get_by_role("img", name="rat2_data5.overlay.png")
        expect(overlay).to_be_visible()
        loaded = "(image) => image.complete && image.naturalWidth > 100"
        opened.page.wait_for_function(loaded, arg=overlay.element_handle())
        opened.picture("lesson-page-overlay")


def cancel_and_repeat(lesson):
    """By the card of a job for which no cell waits."""
    lesson.select(NUMBERS["next"])
    lesson.run()
    lesson.write(TOO_LONG)
    card = lesson.run().locator(".axonlab-card").first
    expect(card.locator("progress[value]")).to_be_visible(timeout=RUN_MS)
    expect(card.get_by_role("status")).to_contain_text("running")
    card.get_by_role("button", name="Cancel").click()
    expect(card.get_by_role("status")).to_contain_text("cancelled")
    lesson.tab.picture("lesson-cancelled")
    card.get_by_role("button", name="Resubmit").click()
    repeated = card.locator(".axonlab-card")
    expect(repeated.get_by_role("status")).to_contain_text("running")
    expect(card).to_contain_text("Submitted again")
    lesson.tab.picture("lesson-repeated")
    repeated.get_by_role("button", name="Cancel").click()
    expect(repeated.get_by_role("status")).to_contain_text("cancelled")


def the_theme_may_be_dark(lesson):
    page = lesson.page
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    lesson.tab.picture("lesson-dark")


def the_file_keeps_the_cards(lesson, path):
    """Whoever opens it tomorrow, without this kernel, sees how the jobs ended."""
    with lesson.page.expect_response(lambda answer: answer.request.method == "PUT" and LESSON in answer.url):
        lesson.page.keyboard.press("Control+s")
    kept = json.loads(path.read_text(encoding="utf-8"))
    (training,) = (cell for cell in kept["cells"] if cell["id"] == "train")
    (card,) = (one["data"] for one in training["outputs"] if "text/html" in one["data"] and "<svg" in str(one["data"]))
    assert 'data-state="succeeded"' in "".join(card["text/html"])
    states = kept["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert card["application/vnd.jupyter.widget-view+json"]["model_id"] in states
