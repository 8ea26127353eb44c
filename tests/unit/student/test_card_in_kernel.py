"""The card in a real kernel: what it sends to a notebook, and that it neither blocks the kernel nor outlives it."""

import queue
import time

import pytest
from jupyter_client.manager import start_new_kernel

import axonlab
from axonlab_core.contract.events import ProgressEvent

from .service import claimed_run

WIDGET = "application/vnd.jupyter.widget-view+json"
PATIENCE_S = 30


class Notebook:
    """A kernel and everything that it has told its notebook."""

    def __init__(self, client):
        self.client = client
        self.told = []
        self.models = {}
        """State of the widgets, by id."""

    def listen(self, until, *, within_s=PATIENCE_S):
        """Whether it comes true of what the kernel tells."""
        end = time.monotonic() + within_s
        while not (found := until()) and time.monotonic() < end:
            try:
                self._take(self.client.get_iopub_msg(timeout=0.2))
            except queue.Empty:
                continue
        return found

    def _take(self, message):
        self.told.append(message)
        content = message["content"]
        if message["msg_type"] == "comm_open":
            self.models[content["comm_id"]] = dict(content["data"]["state"])
        elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "update":
            self.models[content["comm_id"]].update(content["data"]["state"])

    def run(self, code):
        return self.client.execute(code)

    def is_done(self, cell):
        return any(
            m["parent_header"].get("msg_id") == cell
            and m["msg_type"] == "status"
            and m["content"]["execution_state"] == "idle"
            for m in self.told
        )

    def outputs(self, cell, *kinds):
        return [m["content"] for m in self.told if m["parent_header"].get("msg_id") == cell and m["msg_type"] in kinds]

    def shows(self, text):
        return any(text in str(state.get("value", "")) for state in self.models.values())

    def button(self, description):
        return next(key for key, state in self.models.items() if state.get("description") == description)

    def subshell(self):
        """Id of a second place where the kernel takes messages, as JupyterLab opens one for widgets."""
        self.client.control_channel.send(self.client.session.msg("create_subshell_request", {}))
        return self.client.get_control_msg(timeout=PATIENCE_S)["content"]["subshell_id"]

    def click(self, description, subshell):
        content = {
            "comm_id": self.button(description),
            "data": {"method": "custom", "content": {"event": "click"}},
        }
        message = self.client.session.msg("comm_msg", content)
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)


@pytest.fixture
def notebook(url):
    manager, client = start_new_kernel(startup_timeout=PATIENCE_S)
    found = Notebook(client)
    cell = found.run(f"import axonlab; client = axonlab.connect({url!r}, 'ana-token')")
    assert found.listen(lambda: found.is_done(cell))
    yield found
    begun = time.monotonic()
    client.stop_channels()
    manager.shutdown_kernel()
    assert time.monotonic() - begun < 5, "a card held up the end of the kernel"


@pytest.fixture
def job(ana, grey, classes):
    return ana.train(axonlab.dataset({"a": grey}, {"a": classes}), steps=40)


def test_a_job_shows_itself_as_a_card_that_moves_while_the_kernel_is_free(url, notebook, job):
    cell = notebook.run(f"job = client.job({job.id!r})\njob")
    assert notebook.listen(lambda: notebook.is_done(cell))
    (shown,) = notebook.outputs(cell, "execute_result", "display_data")
    assert WIDGET in shown["data"]
    assert "queued" in shown["data"]["text/html"]
    assert "queued" in shown["data"]["text/plain"]
    with claimed_run(url) as run:
        run.send_events(0, [ProgressEvent(done=10, total=40)])
        assert notebook.listen(lambda: notebook.shows("10 of 40 steps"))
        begun = time.monotonic()
        cell = notebook.run("1 + 1")
        assert notebook.listen(lambda: notebook.is_done(cell))
        assert time.monotonic() - begun < 2
        job.cancel()
        run.fail("cancelled_by_user", "", [])
    assert notebook.listen(lambda: notebook.shows("cancelled"))
    assert notebook.outputs(cell, "error", "stream") == []


def test_cancel_works_while_the_cell_waits(notebook, job):
    subshell = notebook.subshell()
    cell = notebook.run(f"job = client.job({job.id!r})\njob.wait()")
    assert notebook.listen(lambda: notebook.shows("(next"))
    notebook.click("Cancel", subshell)
    assert notebook.listen(lambda: notebook.is_done(cell))
    (error,) = notebook.outputs(cell, "error")
    assert error["ename"] == "JobFailed"
    assert notebook.shows("cancelled")
    shown = notebook.outputs(cell, "display_data")
    assert [WIDGET in one["data"] for one in shown] == [True]
    (kept,) = notebook.outputs(cell, "update_display_data")
    assert kept["transient"] == shown[0]["transient"]
    assert "cancelled" in kept["data"]["text/html"], "what the notebook's file keeps is how it ended"
    notebook.click("Resubmit", subshell)
    assert notebook.listen(lambda: notebook.shows("Submitted again as axonlab.job("))
    assert sum(state.get("description") == "Cancel" for state in notebook.models.values()) == 2
    assert notebook.listen(lambda: notebook.shows("(next"))


def test_without_the_route_a_click_waits_for_the_cell(notebook, job):
    """What `_take_clicks_anywhere` is for; it fails where that is needless, and where it has no effect."""
    subshell = notebook.subshell()
    cell = notebook.run("""
        import time, ipywidgets
        from axonlab.job_card import _take_clicks_anywhere
        plain, told, clicked = ipywidgets.Button(description="plain"), ipywidgets.Button(description="told"), []
        for button in (plain, told):
            button.on_click(lambda button: clicked.append(button.description))
        _take_clicks_anywhere(told)
        print("ready", flush=True)
        while "told" not in clicked:
            time.sleep(0.01)
        print("clicked:", clicked)
    """)
    assert notebook.listen(lambda: notebook.outputs(cell, "stream"))
    notebook.click("plain", subshell)
    notebook.click("told", subshell)
    assert notebook.listen(lambda: notebook.is_done(cell))
    said = "".join(one["text"] for one in notebook.outputs(cell, "stream"))
    assert "clicked: ['told']" in said


def test_a_cell_that_waits_shows_one_card_and_can_be_interrupted(notebook, job):
    cell = notebook.run(f"job = client.job({job.id!r})\njob.wait(timeout_s=0.5)")
    assert notebook.listen(lambda: notebook.is_done(cell))
    shown = notebook.outputs(cell, "display_data", "execute_result")
    assert [WIDGET in one["data"] for one in shown] == [True, False]
    assert "queued" in shown[1]["data"]["text/plain"]
    cell = notebook.run("job.wait()")
    assert notebook.listen(lambda: notebook.outputs(cell, "display_data"))
    notebook.client.control_channel.send(notebook.client.session.msg("interrupt_request", {}))
    assert notebook.listen(lambda: notebook.is_done(cell))
    assert notebook.outputs(cell, "error") == []
    assert "it goes on" in notebook.outputs(cell, "stream")[0]["text"]
    assert job.refresh().state == "queued"
