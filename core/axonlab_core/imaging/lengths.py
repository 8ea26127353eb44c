"""Units of length as files spell them, and what may be the edge of a pixel."""

from __future__ import annotations

import math

_UM: dict[str, float] = {
    "pm": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "in": 25_400.0,
    "inch": 25_400.0,
}
_SMALLEST_UM, LARGEST_UM = 1e-5, 1e4
_OBLONG = 0.01


def unit_um(unit: str) -> float | None:
    """How many µm one `unit` is; None where it is no length.

    Examples
    --------
    >>> unit_um("nm"), unit_um("\u03bcm"), unit_um("pixel")
    (0.001, 1.0, None)
    """
    # Micro is written with two different letters, and so is the ångström.
    return _UM.get(unit.strip().replace("\u03bc", "\u00b5").replace("Å", "å").replace("\u212b", "å").lower())


def square_edge_um(across_um: float | None, down_um: float | None, *, largest: float = LARGEST_UM) -> float | None:
    """The edge of a pixel in µm, if both its edges are known, alike and plausible."""
    if not across_um or not down_um or not math.isfinite(across_um * down_um):
        return None
    if across_um < 0 or abs(across_um - down_um) > _OBLONG * across_um:
        return None
    edge = float(f"{across_um:.9g}")
    return edge if _SMALLEST_UM <= edge < largest else None
