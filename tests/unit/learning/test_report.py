import logging
import os
import signal
import threading
import time

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.testing.globalipapp import start_ipython
from IPython.utils.capture import capture_output

from axonlab_core.contract.events import EVENT_MIME, CheckpointEvent, MetricEvent, ProgressEvent, notebook_event
from axonlab_core.learning.report import Progress, display
from axonlab_core.learning.stopping import Interrupted, Stopping


@pytest.fixture
def shell():
    yield start_ipython() or InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_in_a_notebook_an_event_is_displayed_for_the_runner_and_for_people(shell):
    event = MetricEvent(step=3, values={"loss": 0.25})
    with capture_output() as captured:
        display(event)
    (output,) = captured.outputs
    assert notebook_event.validate_python(output.data[EVENT_MIME]) == event
    assert output.data["text/plain"] == "step 3: loss 0.250"


def test_outside_a_notebook_it_goes_to_the_log(caplog):
    with caplog.at_level(logging.INFO):
        display(CheckpointEvent(step=3, file="checkpoint-00000003.safetensors"))
    assert caplog.messages == ["step 3: saved as checkpoint-00000003.safetensors"]


def test_progress_is_told_now_and_then_and_at_the_end():
    told: list[ProgressEvent] = []
    progress = Progress(told.append, "steps", every_s=60)
    for done in range(1, 101):
        progress.tell(done, 100, remaining_s=100.0 - done)
    assert [event.done for event in told] == [1, 100]
    assert told[0].remaining_s == 99


def test_an_interrupt_is_noted_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with Stopping() as stopping:
        stopping.check("early")
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 5
        while not stopping.requested and time.monotonic() < deadline:
            pass
        with pytest.raises(Interrupted, match="after 3 steps"):
            stopping.check("after 3 steps")
    assert signal.getsignal(signal.SIGINT) is before


def test_on_another_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with Stopping() as stopping:
            seen.append((signal.getsignal(signal.SIGINT), stopping.requested))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=10)
    assert seen == [(before, False)]
