"""Write the table of operations into docs/api.md, from the service itself: `.venv/bin/python tools/api_table.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from axonlab_hub.app import create_app
from axonlab_hub.documentation import routes_table
from axonlab_hub.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
BEGIN = "<!-- written by tools/api_table.py; a test compares it with the service -->\n"
END = "<!-- end -->"


def written() -> str:
    """The page as it should be."""
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(state=Path(state))
        app = create_app(settings)
        table = routes_table(app.openapi(), f"{settings.service_prefix}api/v1/")
        app.state.parts.store.close()
    before, rest = PAGE.read_text().split(BEGIN)
    return before + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    page = written()
    if "--check" in sys.argv and PAGE.read_text() != page:
        sys.exit("docs/api.md is not what the service says: run tools/api_table.py")
    PAGE.write_text(page)
