"""The first lesson in JupyterLab behind the real hub: run, watch, cancel, repeat, and see the page and its overlay."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from axonlab_hub.demo import LESSON

from .notebook import RUN_MS, Notebook, Watched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
CELLS = json.loads((ROOT / "notebooks" / LESSON).read_text(encoding="utf-8"))["cells"]
SHORT = "steps=24, batch=2, tile_px=96, seed=7"
"""What a student writes into the lesson's cell instead of `minutes=2`."""
TOO_LONG = f"""again = axonlab.train(known, {SHORT.replace("24", "4000")}, name="too long")
again"""


@pytest.fixture
def lesson(open_tab):
    """The lesson, open in ana's own JupyterLab."""
    notebook = Notebook(open_tab(viewport={"width": 1100, "height": 900}))
    notebook.log_in("ana")
    notebook.open("lessons", "01_first_model.ipynb")
    notebook.tab.picture("lesson-open")
    notebook.select(0)
    return notebook


def test_a_student_runs_the_lesson(lesson, runner):
    page, tab = lesson.page, lesson.tab
    for cell in CELLS[: cell_number("train")]:
        done = lesson.run()
        if cell["cell_type"] == "code":
            lesson.is_done(done)
    lesson.write("".join(CELLS[cell_number("train")]["source"]).replace("minutes=2", SHORT))
    training = lesson.run()
    card = training.locator(".axonlab-card")
    expect(card.get_by_role("status")).to_contain_text("queued")
    expect(card).to_contain_text("It waits for a runner (next")
    watched = Watched(training)
    tab.picture("lesson-queued")

    with runner():
        expect(card.get_by_role("status")).to_contain_text("running")
        card.get_by_text("Log", exact=True).click()
        expect(card.get_by_role("log")).to_contain_text("execute: started", timeout=RUN_MS)
        expect(card.locator("figure")).to_have_count(2, timeout=RUN_MS)
        tab.picture("lesson-running")
        expect(card.get_by_role("status")).to_contain_text("succeeded", timeout=RUN_MS)
        seen = watched.seen()
        assert seen["states"] == ["queued", "running", "succeeded"]
        assert len(seen["done"]) >= 3
        assert seen["done"] == sorted(seen["done"])
        assert seen["points"] == sorted(seen["points"])
        assert len(seen["points"]) >= 3, "the curve has grown before one's eyes"
        lesson.is_done(training)
        expect(card.get_by_role("button", name="Resubmit")).to_be_visible()
        expect(card.get_by_role("button", name="Cancel")).to_be_hidden()
        card.get_by_text("Log", exact=True).click()
        card.screenshot(path=tab.place("for-docs-card"))
        with lesson.opened_by(card.get_by_role("link", name="Page of this job")) as its_page:
            the_page_tells_the_same(its_page)

        for number in range(cell_number("trained"), cell_number("next")):
            cell = CELLS[number]
            lesson.select(number)
            done = lesson.run()
            if cell["cell_type"] == "code":
                lesson.is_done(done)
            if cell["id"] == "segment":
                segmented = done.locator(".axonlab-card")
                expect(segmented.get_by_role("status")).to_contain_text("succeeded")
                tab.picture("lesson-segmented")
                with lesson.opened_by(segmented.get_by_role("link", name="Overlay")) as its_page:
                    the_overlay_is_there(its_page)
            if cell["id"] in {"trained", "measure", "overlay", "result"}:
                tab.picture(f"lesson-{cell['id']}")

        # Cancel and repeat, by the card of a job that nobody waits for.
        lesson.select(cell_number("next"))
        lesson.run()
        lesson.write(TOO_LONG)
        card = lesson.run().locator(".axonlab-card").first
        expect(card.get_by_role("status").first).to_contain_text("running")
        expect(card.locator("progress[value]")).to_be_visible(timeout=RUN_MS)
        card.get_by_role("button", name="Cancel").click()
        expect(card.get_by_role("status").first).to_contain_text("cancelled")
        tab.picture("lesson-cancelled")
        card.get_by_role("button", name="Resubmit").click()
        expect(card).to_contain_text("Submitted again")
        repeated = card.locator(".axonlab-card")
        expect(repeated.get_by_role("status")).to_contain_text("running")
        tab.picture("lesson-repeated")
        repeated.get_by_role("button", name="Cancel").click()
        expect(repeated.get_by_role("status")).to_contain_text("cancelled")
    the_theme_may_be_dark(lesson)


def cell_number(name):
    return [cell["id"] for cell in CELLS].index(name)


def the_page_tells_the_same(tab):
    """Opened without a question: the hub knows who this is."""
    page = tab.page
    expect(page.get_by_role("heading", name="first model")).to_be_visible()
    expect(page.locator(".state")).to_have_text("succeeded")
    expect(page.locator("#curves figure")).to_have_count(2)
    assert page.locator("#curves polyline").count() == 4
    expect(page.locator("#log pre")).to_contain_text("execute: done")
    tab.picture("lesson-page")


def the_overlay_is_there(tab):
    page = tab.page
    overlay = page.get_by_role("img", name="rat2_data5.overlay.png")
    expect(overlay).to_be_visible()
    page.wait_for_function("(image) => image.complete && image.naturalWidth > 100", arg=overlay.element_handle())
    tab.picture("lesson-page-overlay")


def the_theme_may_be_dark(lesson):
    page = lesson.page
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    lesson.tab.picture("lesson-dark")
