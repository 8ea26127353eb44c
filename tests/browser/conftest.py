"""A classroom with a real runner, and Debian's Chromium to look at it."""

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect, sync_playwright

from axonlab_hub.settings import child_environment
from classroom import crops, running_classroom, student_client

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "tests" / "artifacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
expect.set_options(timeout=20_000)  # a busy machine is slow, and no less right
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """A classroom of our own: the acceptance tests leave jobs behind that our runner would take."""
    with running_classroom(tmp_path_factory.mktemp("classroom")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    """Ends with the module: while it is there, an event loop runs in this thread, and no other test may start one."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here; on Debian or Ubuntu: sudo apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """A person's browser tab; what goes wrong in it, by a page's fault or against its policy, fails the test."""

    def __init__(self, classroom, context, page=None):
        self.classroom = classroom
        self.context = context
        self.page = page or context.new_page()
        self.faults = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.expected = ()

    def _note(self, kind, text):
        if kind in {"error", "warning"} and not any(part in text for part in self.expected):
            self.faults.append(f"{kind}: {text}")

    def _failed(self, request):
        # A long poll ends with its page.
        if "/live?" not in request.url and "ERR_ABORTED" not in (request.failure or ""):
            self.faults.append(f"{request.url}: {request.failure}")

    def adopt(self, page):
        """A tab that this one has opened, under the same rules."""
        other = Tab(self.classroom, self.context, page)
        other.faults = self.faults
        return other

    def log_in(self, name, path=""):
        """Open a page of ours, and log in at the hub's form, to which it leads."""
        self.page.goto(f"{self.classroom.service_url}/{path}")
        assert "/hub/login" in self.page.url
        self.page.get_by_label("Username").fill(name)
        who = "teacher" if name == "tea" else "student"
        self.page.get_by_label("Password").fill(self.classroom.room.passwords[who])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.classroom.service_url}/{path}")

    def open(self, path=""):
        return self.page.goto(f"{self.classroom.service_url}/{path}")

    def place(self, name):
        PICTURES.mkdir(exist_ok=True)
        return PICTURES / f"{name}.png"

    def picture(self, name, *, full_page=True):
        self.page.screenshot(path=self.place(name), full_page=full_page)


@pytest.fixture
def open_tab(classroom, chromium):
    tabs = []

    def opened(name=None, path="", **more):
        context = chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **more})
        tabs.append(Tab(classroom, context))
        if name is not None:
            tabs[-1].log_in(name, path)
        return tabs[-1]

    yield opened
    for tab in tabs:
        try:
            tab.context.close()
        except Error as error:
            tab.faults.append(str(error))
    assert not [fault for tab in tabs for fault in tab.faults]


@pytest.fixture(scope="module")
def client(classroom, tmp_path_factory):
    with student_client(classroom, "ana", tmp_path_factory.mktemp("cache")) as connection:
        yield connection


@pytest.fixture(scope="module")
def data(client):
    return crops()


@pytest.fixture
def runner(classroom, tmp_path):
    """Gives a block in which a runner is at work."""

    @contextmanager
    def at_work():
        with (tmp_path / "runner.log").open("wb") as log:
            process = subprocess.Popen(
                [*classroom.runner_command(), "--name", "desk", "--work-dir", str(tmp_path / "work")],
                env=child_environment(classroom.settings),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(60) == 0, (tmp_path / "runner.log").read_text()[-3000:]

    return at_work
