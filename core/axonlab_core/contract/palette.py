"""A palette: the classes that a label image may hold, with their colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from axonlab_core.contract.base import Value

UNKNOWN = 255
"""Class index of a pixel about which nobody has said anything."""

ClassName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9 _-]{0,39}$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]

# Okabe & Ito's colours for all kinds of colour vision (https://jfly.uni-koeln.de/color/); black is left
# out, it cannot be seen on an electron micrograph. The first class is background and drawn transparent.
_COLOURS = ("#000000", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")


class PaletteClass(Value):
    """One class: its name and the colour it is drawn in."""

    name: ClassName
    colour: Colour


class Palette(Value):
    """The classes of a label image: the position in `classes` is the pixel's value, 255 is unknown."""

    classes: tuple[PaletteClass, ...] = Field(min_length=2, max_length=32)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [entry.name.lower() for entry in self.classes]
        if len(set(names)) < len(names):
            msg = f"two classes of a palette share a name: {', '.join(names)}"
            raise ValueError(msg)
        return self

    @classmethod
    def from_names(cls, names: Sequence[str]) -> Self:
        """A palette with our colours, the first name being background."""
        return cls(
            classes=tuple(
                PaletteClass(name=name, colour=_COLOURS[0] if i == 0 else _COLOURS[1 + (i - 1) % (len(_COLOURS) - 1)])
                for i, name in enumerate(names)
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by index."""
        return tuple(entry.name for entry in self.classes)

    def index(self, name: str) -> int:
        """Index of the class called `name`, whatever its case.

        Raises
        ------
        KeyError
            If no class has that name.
        """
        return {entry.name.lower(): i for i, entry in enumerate(self.classes)}[name.lower()]

    def rgb(self) -> tuple[tuple[int, int, int], ...]:
        """Red, green and blue (0…255) of each class by index."""
        return tuple((int(c.colour[1:3], 16), int(c.colour[3:5], 16), int(c.colour[5:7], 16)) for c in self.classes)


AXON_PALETTE = Palette.from_names(("background", "myelin", "axon"))
"""The course's first palette: nerve fibres in cross-section."""
