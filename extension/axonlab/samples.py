"""The sample data that come with a course."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from axonlab_core.contract.errors import NotFound


@dataclass(frozen=True)
class Sample:
    """A folder of images, their label images, and a table about them."""

    folder: Path

    @property
    def images(self) -> Path:
        """Folder of the images."""
        return self.folder / "images"

    @property
    def labels(self) -> Path:
        """Folder of the label images, called like the images."""
        return self.folder / "masks"

    @property
    def manifest(self) -> Path:
        """CSV file that says of each image its split, its animal and its pixel size."""
        return self.folder / "manifest.csv"


def sample(name: str = "axon_sem") -> Sample:
    """The sample called `name`, from the folder `data` beside the notebook's folder, or further up, or at home.

    Raises
    ------
    NotFound
        If it is in none of them.
    """
    here = Path.cwd()
    for place in (here, *here.parents, Path.home()):
        folder = place / "data" / name
        if (folder / "manifest.csv").is_file():
            return Sample(folder)
    raise NotFound(
        f"There is no sample {name!r} in a folder `data` at or above {here}.",
        remedy="Open the notebook from the course's folder `lessons`; its folder `data` lies beside it.",
    )
