"""The lessons and their data, put into a student's folder.

On a lab server this runs as the student, so that no link which a student has put there leads anywhere that the
student could not go.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

logger = logging.getLogger(__name__)

_FOLDERS = ("lessons", "data")


def hand_out(home: Path) -> None:
    """Put the lessons and their data into a student's folder; what is there already stays as it is."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    package = find_spec("axonlab_notebooks")
    if package is None or package.origin is None:
        return
    notebooks = Path(package.origin).parents[1]
    for folder in _FOLDERS:
        for source in sorted((notebooks / folder).rglob("*")):
            target = home / source.relative_to(notebooks)
            if source.is_file() and ".ipynb_checkpoints" not in source.parts and not os.path.lexists(target):
                _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Created here and now, and linked, so that nothing is written through a link or over a file of the student's.
        with source.open("rb") as content, beside.open("xb") as copy:
            shutil.copyfileobj(content, copy)
        os.link(beside, target)
    except (FileExistsError, NotADirectoryError) as error:
        # What a student has put in the way is theirs, and no reason to refuse them their server.
        logger.warning("%s is not handed out: %s", target, error)
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            beside.unlink()


if __name__ == "__main__":
    hand_out(Path(sys.argv[1]))
