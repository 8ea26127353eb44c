"""JupyterLab in a browser tab, used as a student does: log in at the hub, open a notebook, run cells, use a card."""

import json
import re
from contextlib import contextmanager

from playwright.sync_api import expect

STARTED_MS = 60_000
RUN_MS = 60_000


class Notebook:
    """One notebook in one tab; windowing keeps cells out of the page that nobody sees, so go through it downwards."""

    def __init__(self, tab):
        self.tab = tab
        self.page = tab.page
        self.page.set_default_timeout(20_000)

    def log_in(self, name):
        """From the hub's login to the student's own JupyterLab."""
        page, room = self.page, self.tab.classroom
        page.goto(room.url)
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(room.room.passwords["student"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"**/user/{name}/lab*", timeout=STARTED_MS)
        expect(page.locator(".jp-DirListing-item").first).to_be_visible(timeout=STARTED_MS)

    def open(self, *path):
        """Open it from the list of files, one folder after another, and wait for its kernel."""
        for part in path:
            self.page.locator(".jp-DirListing-item", has_text=part).dblclick()
        # One bar for each activity is in the page; that of the notebook says how its kernel is.
        expect(self.page.get_by_text("| Idle")).to_be_visible(timeout=STARTED_MS)
        expect(self.cell(0)).to_be_visible()

    @property
    def active(self):
        """The cell that the next key is meant for."""
        return self.page.locator(".jp-Notebook .jp-Cell.jp-mod-active")

    def cell(self, number):
        """The cell at that place, counted from 0."""
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{number}"]')

    def select(self, number):
        """Make that cell the active one, as command mode has it; a click into another one's card has made that so."""
        self.cell(number).locator(".jp-Cell-inputWrapper").click()
        self.page.keyboard.press("Escape")
        expect(self.active).to_have_attribute("data-windowed-list-index", str(number))

    def write(self, source):
        """Replace what stands in the active cell."""
        self.page.keyboard.press("Enter")
        expect(self.active.locator(".cm-editor.cm-focused")).to_be_visible()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        expect(self.active.locator(".cm-content")).to_have_text(source.replace("\n", ""))

    def run(self):
        """Run the active cell and go to the next; returns the cell that runs."""
        number = self.active.get_attribute("data-windowed-list-index")
        self.page.keyboard.press("Shift+Enter")
        expect(self.active).not_to_have_attribute("data-windowed-list-index", number)
        return self.cell(number)

    def is_done(self, cell):
        """See that it has run, without an error."""
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=RUN_MS)
        expect(cell.locator('[data-mime-type="application/vnd.jupyter.error"]')).to_have_count(0)

    @contextmanager
    def opened_by(self, link):
        """The tab that a link of the notebook opens, which is closed at the end of the block."""
        with self.page.expect_popup() as opened:
            link.click()
        other = self.tab.adopt(opened.value)
        yield other
        other.page.close()


class Watched:
    """What a cell's card has shown from now on, noted by the browser itself whenever its content changed."""

    def __init__(self, cell):
        self.cell = cell
        cell.evaluate(
            """(cell) => {
                const seen = (cell.seen = { states: [], done: [], points: [] });
                const note = (list, value) => { if (value && list.at(-1) !== value) list.push(value); };
                const look = () => {
                    note(seen.states, cell.querySelector('[role="status"]')?.dataset.state);
                    note(seen.done, cell.querySelector("progress[value]")?.value);
                    note(seen.points, cell.querySelector("polyline")?.points.length);
                };
                look();
                new MutationObserver(look).observe(cell, { childList: true, subtree: true, characterData: true });
            }"""
        )

    def seen(self):
        return json.loads(self.cell.evaluate("(cell) => JSON.stringify(cell.seen)"))
