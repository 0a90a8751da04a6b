"""Durations as people read and write them."""

import math
import re

WRITTEN = r"[0-9]+(\.[0-9]+)? *[smh]?"
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
UNTIL_STOPPED = "until stopped"  # in place of a number of trials


def duration(seconds: float) -> str:
    """42 s, 3 min 05 s, 2 h 07 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def seconds(written: object) -> float:
    """What 45s, 90m, 1.5h or a plain number of seconds means.

    Raises:
        ValueError: it is not a duration, or not above 0.
    """
    text = "" if isinstance(written, bool) else str(written)
    unit = text[-1:] if text[-1:] in ("s", "m", "h") else ""
    if re.fullmatch(WRITTEN, text):
        found = float(text.removesuffix(unit)) * UNITS[unit]
    else:
        found = float(written) if isinstance(written, float) else 0.0  # 1e4, say
    if not 0 < found < math.inf:
        raise ValueError(f"{written!r} is not a duration; write 45s, 90m, 1.5h, or a number of seconds")
    return found
