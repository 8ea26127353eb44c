"""What a file of pixels holds, before anybody decides whether it is an image or labels."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple, NoReturn

from numpy.typing import NDArray

from axonlab_core.contract.errors import BadInput

RETRY = "Copy or export the file again from where it came from; PNG and TIFF are best."


class Raster(NamedTuple):
    """Stored values, untouched: palette indices stay indices, two-bit samples stay 0 to 3."""

    container: str
    """Name of the file format, for messages."""
    pixels: NDArray[Any]
    """`(H, W)` or `(H, W, 3)`; any type that the file has."""
    bits: int
    """Bits of one sample in the file."""
    alpha: NDArray[Any] | None = None
    """`(H, W)` opacity in the type of `pixels`; None where the file has none."""
    colours: NDArray[Any] | None = None
    """`(N, 3)` uint8 red, green, blue of each index, where `pixels` are indices into a palette."""
    inverted: bool = False
    """Whether 0 is white."""
    pixel_size_um: float | None = None
    notes: tuple[str, ...] = ()
    """What was done to the stored values, as sentences."""


def check_size(name: str, *, width: int, height: int, max_pixels: int) -> None:
    """Return if an image of that size may be decoded.

    Raises
    ------
    BadInput
        If it has no pixels, or more than `max_pixels`.
    """
    if width < 1 or height < 1:
        raise BadInput(f"{name} says that it is {width} × {height} px.", remedy=RETRY)
    if width * height > max_pixels:
        raise BadInput(
            f"{name} says that it is {width:,} × {height:,} px, {width * height:,} pixels; at most {max_pixels:,} "
            "are taken.",
            remedy="Cut it into smaller images, or save it at a lower resolution.",
        )


def read_part(file: BinaryIO, size: int, name: str, container: str) -> bytes:
    """The next `size` bytes; memory for them is asked for only if the file has so many.

    Raises
    ------
    BadInput
        If the file ends before.
    """
    here = file.tell()
    if size > file.seek(0, 2) - here:
        refuse_truncated(name, container)
    file.seek(here)
    return file.read(size)


def refuse_oriented(name: str, how: str) -> NoReturn:
    """Raise that the file asks to be shown otherwise than it is stored, which only some programs do."""
    raise BadInput(
        f"{name} asks to be shown {how}, and programs disagree on whether to do so.",
        remedy="Open it, turn it as it should be, and save it without an orientation tag.",
    )


def refuse_truncated(name: str, container: str) -> NoReturn:
    """Raise that the file ends before its pixels do."""
    raise BadInput(f"{name} is a {container} file that ends too early: a part of it is missing.", remedy=RETRY)


def refuse_damaged(name: str, container: str, error: Exception) -> NoReturn:
    """Raise that a decoder gave up."""
    what = str(error).strip() or type(error).__name__
    raise BadInput(f"{name} is a damaged {container} file ({what}).", remedy=RETRY) from error
