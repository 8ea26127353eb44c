"""What docs/formats.md consists of."""

from . import kinds_of_file
from .document import Document

IMAGES, LABELS = "Images", "Label files"

_HEAD = """
# Which files are read, and by which rule

Nothing is guessed at: a file is read by the rule in this table or refused with the reason. What a file is, its content
says and not its name. At most 400 megapixels; the header is looked at before any pixel is decoded.

The tables are written by the tests in `tests/unit/student/bad_input`, which write a real file for every row, compare
every pixel that is read, and fail if what is said here is not what happens. What else may be wrong with a file is in
[errors.md](errors.md).
"""
_IMAGES_PROSE = """
An image becomes `(height, width)` or `(height, width, 3)` of 8 or 16 bits. Notes appear in `Dataset.warnings`.
"""
_LABELS_PROSE = """
Values are taken as they are stored: 0 and up are the classes of the palette, 255 is unknown.
"""
_COLUMNS = ("file", "rule", "what comes of it")


def make():
    """The document, its rows still to come."""
    return Document(
        "formats.md",
        _HEAD,
        [
            (IMAGES, _IMAGES_PROSE, _COLUMNS, [kind.title for kind in kinds_of_file.IMAGES]),
            (LABELS, _LABELS_PROSE, _COLUMNS, [kind.title for kind in kinds_of_file.LABELS]),
        ],
    )
