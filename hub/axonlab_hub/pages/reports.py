"""The report of a result, `qc/report.html`, shown as a page of its own that can do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from axonlab_core.backends.storage import Storage
from axonlab_core.contract.errors import BadInput
from axonlab_hub.pages.pieces import pieces

PATH = "qc/report.html"
MAX_REPORT_BYTES = 32 * 10**6

HEADERS = {
    "Content-Disposition": "inline",
    # It comes from a run: whatever is in it, here it has no scripts, no forms, no origin, and nothing from elsewhere.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def report_pieces(storage: Storage, key: str, size_bytes: int) -> Iterator[bytes]:
    """The bytes of a report, piece by piece.

    Raises
    ------
    BadInput
        If it is too large to be shown.
    """
    if size_bytes > MAX_REPORT_BYTES:
        raise BadInput("This report is too large to be shown.", remedy="Download it instead.")
    return pieces(storage, key, size_bytes)
