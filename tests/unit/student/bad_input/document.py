"""The tables in `docs/`: checked row by row by the tests that produce them, and written anew when asked to."""

import os
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[4] / "docs"
WRITING = os.environ.get("AXONLAB_WRITE_DOCS") == "1"
HOW = "write it anew with: AXONLAB_WRITE_DOCS=1 python -m pytest tests/unit/student/bad_input"


class Document:
    """A file of prose and tables. `sections` are heading, prose, columns and the titles of the rows in their order."""

    def __init__(self, name, head, sections):
        self.path = DOCS / name
        self._head = head
        self._sections = sections
        self._rows = {heading: {} for heading, *_ in sections}
        self._lines = frozenset(self.path.read_text().splitlines()) if self.path.exists() and not WRITING else ()

    def row(self, heading, title, *cells):
        """Take the row down, or fail if the file does not have it."""
        row = f"| {' | '.join(_cell(cell) for cell in (title, *cells))} |"
        self._rows[heading][title] = row
        if not WRITING:
            assert row in self._lines, f"docs/{self.path.name} lacks the row\n{row}\n{HOW}"

    def check_whole(self):
        """Fail if the file has other prose, other rows or another order than the corpus."""
        found = [line if not line.startswith("| ") else line.split(" | ")[0] for line in self._text_lines()]
        wanted = [line.split(" | ")[0] if line.startswith("| ") else line for line in self._frame()]
        assert found == wanted, HOW

    def write(self):
        """Write the file from the rows that have been taken down."""
        absent = [title for heading, _, _, titles in self._sections for title in titles
                  if title not in self._rows[heading]]  # fmt: skip
        if absent:
            pytest.fail(f"docs/{self.path.name} was not written, since these cases did not run: {absent}")
        beside = self.path.with_suffix(".part")
        beside.write_text("\n".join(self._frame(full=True)) + "\n")
        beside.replace(self.path)

    def _text_lines(self):
        return self.path.read_text().splitlines()

    def _frame(self, *, full=False):
        lines = [*self._head.strip().splitlines()]
        for heading, prose, columns, titles in self._sections:
            lines += ["", f"## {heading}", "", *prose.strip().splitlines(), ""]
            lines += [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
            lines += [self._rows[heading][title] if full else f"| {_cell(title)}" for title in titles]
        return lines


def _cell(text):
    return text.replace("|", "\\|").replace("\n", "⏎").replace("\0", "␀").replace("<", "&lt;")
