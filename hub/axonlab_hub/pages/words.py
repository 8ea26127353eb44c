"""Numbers as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR = 60, 3600
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000


def duration(seconds: float) -> str:
    """A time span, as precise as anybody needs it.

    Examples
    --------
    >>> duration(7.4), duration(130), duration(7300)
    ('7 s', '2 min 10 s', '2 h 1 min')
    """
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, _HOUR)
    return f"{hours} h {rest // _MINUTE} min" if rest >= _MINUTE else f"{hours} h"


def size(count: int) -> str:
    """A number of bytes.

    Examples
    --------
    >>> size(512), size(8_400_000)
    ('512 bytes', '8.4 MB')
    """
    value = float(count)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            return f"{count} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"
        value /= _STEP
    raise AssertionError


def moment(at: datetime) -> str:
    """A time, in the zone that everybody can work out; the page's script says it in the reader's own."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
