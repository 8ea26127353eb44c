"""The README's picture, from the results of a demo: an image, the model's labels over it, what a person drew.

python tools/readme_picture.py .axonlab/homes/ana/results/<job>/rat2
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.label_tiff import read_label_tiff
from axonlab_core.imaging.overlay import overlay
from axonlab_core.imaging.read import read_image, read_labels

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "notebooks" / "data" / "axon_sem"
NAME = "rat2_data5"
PART = (slice(250, 750), slice(300, 900))
GAP_PX = 8


def main(result: Path) -> None:
    """Write docs/pictures/rat2.jpg."""
    image = read_image(SAMPLE / "images" / f"{NAME}.png").pixels
    drawn = read_labels(SAMPLE / "masks" / f"{NAME}.png", shape=image.shape[:2], palette=AXON_PALETTE)
    found = read_label_tiff(result / "masks" / f"{NAME}.labels.ome.tif")
    nothing = np.full_like(drawn, 255)
    panels = [overlay(image, labels, palette=AXON_PALETTE)[PART] for labels in (nothing, found, drawn)]
    gap = np.full((panels[0].shape[0], GAP_PX, 3), 255, np.uint8)
    whole = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    target = ROOT / "docs" / "pictures" / "rat2.jpg"
    target.parent.mkdir(exist_ok=True)
    Image.fromarray(whole).resize((whole.shape[1] * 2 // 3, whole.shape[0] * 2 // 3)).save(target, quality=82)
    print(target.stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
