"""Numbers as people read them: with significant figures, and with as many as tell different numbers apart."""

import math
from collections.abc import Callable, Iterable

SIGNIFICANT = 4  # significant ones
UNITS = ("bytes", "kB", "MB", "GB")
MOST_SIGNIFICANT = 16  # from then on a number is shown as Python writes it: no two look alike


def figure(value: float | None, significant: int = SIGNIFICANT) -> str:
    """A number as a table shows it: "0.8500", "39.4", "2.5e-06"; empty where there is none."""
    if value is None or not math.isfinite(value):
        return ""
    if significant >= MOST_SIGNIFICANT:
        return repr(float(value) + 0.0)
    return f"{value:.{significant}f}" if 0.1 <= abs(value) < 1 else f"{value + 0.0:.{significant}g}"


def figures(
    values: Iterable[float | None], text: Callable[[float, int], str] = figure, significant: int = SIGNIFICANT
) -> dict[float, str]:
    """The texts of numbers that stand side by side: those that look alike have further figures."""
    alike: dict[str, set[float]] = {}
    for value in values:
        if value is not None and math.isfinite(value):
            alike.setdefault(text(value, significant), set()).add(value)
    found: dict[float, str] = {}
    for shown, group in alike.items():
        is_apart = len(group) == 1 or significant == MOST_SIGNIFICANT
        found |= dict.fromkeys(group, shown) if is_apart else figures(group, text, significant + 1)
    return found


def numbered(count: int, noun: str = "trial") -> str:
    """How many there are of something: "1 trial", "300 trials"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def compared(value: float, other: float, significant: int = 5) -> tuple[str, str]:
    """Two numbers in a sentence that compares them; where they look alike, with further figures."""
    if significant >= MOST_SIGNIFICANT:
        return repr(float(value)), repr(float(other))
    texts = f"{value + 0.0:.{significant}g}", f"{other + 0.0:.{significant}g}"
    return texts if texts[0] != texts[1] or value == other else compared(value, other, significant + 1)


def precision(mean: float, half_width: float | None, least: int = SIGNIFICANT) -> int:
    """How many significant figures a mean needs beside two figures of half its interval: at least `least`."""
    if not half_width or not mean or not math.isfinite(half_width):
        return least
    orders = math.floor(math.log10(abs(mean))) - math.floor(math.log10(half_width))
    return min(MOST_SIGNIFICANT, max(least, orders + 2))


def bytes_in_words(count: int) -> str:
    """A size as people read it: "5.2 MB"."""
    size, unit = float(count), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return "1 byte" if (size, unit) == (1, 0) else f"{size:.3g} {UNITS[unit]}"
