"""Images and overlays, shown in a notebook; in a terminal, where they lie."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from axonlab.datasets import palette_from_names
from axonlab.job_handle import Job
from axonlab.progress import in_notebook
from axonlab.result import Result
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import AXON_PALETTE, Palette
from axonlab_core.imaging.overlay import contours, stretched_rgb
from axonlab_core.imaging.overlay import overlay as draw_overlay
from axonlab_core.imaging.read import read_image, read_labels

_LARGEST_SHOWN_PX = 1600
_JPEG_QUALITY = 90


def show_overlay(result: Result | Job, name: str | None = None) -> None:
    """Show the label image over its image: of the image called `name`, or of all."""
    bundle = result.result() if isinstance(result, Job) else result
    names = bundle.names if name is None else (name,)
    if not names:
        raise BadInput("This result holds no segmented images.", remedy="Use a model with axonlab.segment(...) first.")
    for one in names:
        path = bundle.overlay(one)
        if in_notebook():
            print(one)  # noqa: T201 (the picture's title)
            _display(imagecodecs.png_decode(path.read_bytes()))
        else:
            print(path)  # noqa: T201 (this is the answer)


def show_image(
    image: str | Path | NDArray[Any],
    labels: str | Path | NDArray[Any] | None = None,
    *,
    palette: Palette | Sequence[str] = AXON_PALETTE,
    opacity: float = 0.4,
    outlines: bool = False,
) -> None:
    """Show an image with automatic contrast, and its labels in colour over it.

    Parameters
    ----------
    image : path, or (H, W) or (H, W, 3) array of uint8 or uint16
    labels : path, or (H, W) integer array, optional
        Class index of each pixel, 255 = unknown; background and unknown stay transparent.
    opacity : float
        0 shows the image alone, 1 hides it under the colours.
    outlines : bool
        Draw the regions' edges alone.
    """
    if not in_notebook():
        print("Pictures are shown in a notebook only.", file=sys.stderr)  # noqa: T201 (said to the person)
        return
    _display(picture(image, labels, palette=palette, opacity=opacity, outlines=outlines))


def picture(
    image: str | Path | NDArray[Any],
    labels: str | Path | NDArray[Any] | None = None,
    *,
    palette: Palette | Sequence[str] = AXON_PALETTE,
    opacity: float = 0.4,
    outlines: bool = False,
) -> NDArray[np.uint8]:
    """What `show_image` shows, `(H, W, 3)` uint8; large images are shrunk by leaving out rows and columns."""
    pixels = read_image(image).pixels if isinstance(image, (str, Path)) else np.asarray(image)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadInput(f"Numbers of type {pixels.dtype} are no image.", remedy="Scale them to uint8 or uint16.")
    classes = palette if isinstance(palette, Palette) else palette_from_names(palette)
    step = -(-max(pixels.shape[:2]) // _LARGEST_SHOWN_PX)
    if labels is None:
        return stretched_rgb(pixels[::step, ::step])
    if isinstance(labels, (str, Path)):
        indices = read_labels(labels, shape=pixels.shape[:2], palette=classes)
    else:
        indices = np.asarray(labels).astype(np.uint8)
    if outlines:
        return contours(pixels[::step, ::step], indices[::step, ::step], palette=classes)
    return draw_overlay(pixels[::step, ::step], indices[::step, ::step], palette=classes, opacity=opacity)


def _display(rgb: NDArray[np.uint8]) -> None:
    from IPython.display import Image, display  # noqa: PLC0415 (there is IPython where there is a notebook)

    # The notebook's file keeps every picture: as PNG a micrograph takes ten times the space.
    display(Image(data=imagecodecs.jpeg8_encode(np.ascontiguousarray(rgb), level=_JPEG_QUALITY), format="jpeg"))
