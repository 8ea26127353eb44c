"""What docs/errors.md consists of."""

from . import corpus, requests
from .document import Document

IMAGES, LABELS, MODELS = "Images", "Label files", "Model files"
NAMES, VALUES, REQUESTS = "Names of images", "Parameters and other values of a job", "Requests to the service"

_HEAD = """
# What is refused, and what one is told

Whatever a person hands in and cannot be used ends the same way everywhere: one sentence with the file and the reason,
and one with what to do. In a notebook that is a `BadInput`; on the command line it is `Error: …` and `→ …` with exit
status 2; over HTTP it is a 4xx answer `{"error", "message", "remedy"}`. There is no traceback, nothing has been sent,
and nothing is left half-written.

The tables below are written by the tests in `tests/unit/student/bad_input`, which produce every file and fail if a
message here is not the one that the code gives.
"""


_IMAGES_PROSE = """
Through `axonlab.dataset`, `axonlab train --here` and `axonlab segment --here`. What a file is, its content says and not
its name; sizes are read from headers, before any pixel is decoded. The limit is 400 megapixels, so a valid
900-megapixel PNG is refused however small its file is.
"""
_LABELS_PROSE = """
Through `axonlab.dataset`, `axonlab train --here` and `axonlab evaluate`. The image is 31 × 23 px and the classes are
background, myelin and axon.
"""
_MODELS_PROSE = """
Through `axonlab.segment`, `axonlab segment --here`, and the service's `POST jobs` for a model that was uploaded.
Nothing is ever unpickled.
"""
_NAMES_PROSE = """
As the key of a dictionary, as the name of a file, and in a data set's manifest that the service is given. Spaces,
letters of any language and names of up to 100 characters are fine.
"""
_VALUES_PROSE = """
Through `axonlab.train` and the service's `POST jobs`; those that are options, through `axonlab train --here`.
"""
_GIVEN = ("what is given", "file", "message", "what to do")
_WRITTEN = ("what is given", "written", "message", "what to do")
_SENT = ("what is sent", "request", "status", "message", "what to do")


def make():
    """The document, its rows still to come."""
    sections = [
        (IMAGES, _IMAGES_PROSE, _GIVEN, [case.title for case in corpus.IMAGES]),
        (LABELS, _LABELS_PROSE, _GIVEN, [case.title for case in corpus.LABELS]),
        (MODELS, _MODELS_PROSE, _GIVEN, [case.title for case in corpus.MODELS]),
        (NAMES, _NAMES_PROSE, _WRITTEN, list(corpus.NAMES)),
        (VALUES, _VALUES_PROSE, _WRITTEN, list(corpus.VALUES)),
        (REQUESTS, "Over HTTP, with a valid token.", _SENT, [case.title for case in requests.REQUESTS]),
    ]
    return Document("errors.md", _HEAD, sections)
