"""What holds for every test."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c():
    """Ctrl+C works as at a terminal; a shell that starts us in the background has it ignored, for our children too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
