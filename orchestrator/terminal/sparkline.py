"""A curve in a line of text."""

import itertools
import math
from collections.abc import Sequence
from statistics import fmean

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.:-=+*#"  # where the console has no blocks
WIDE = 10.0  # a range whose ends have this ratio is drawn on a logarithmic scale
FARTHEST = 1e100  # so that means stay finite


def sparkline(values: Sequence[float], width: int, levels: str = BLOCKS) -> str:
    """Values as at most `width` characters, from the lowest to the highest level; of more values, means of neighbours.

    Positive values of a wide range are drawn by their logarithm.
    """
    count = min(width, len(values))
    if count < 1:
        return ""
    near = [max(-FARTHEST, min(FARTHEST, value)) for value in values]
    ends = [len(near) * i // count for i in range(count + 1)]
    means = [fmean(near[start:end]) for start, end in itertools.pairwise(ends)]
    if min(means) > 0 and max(means) > WIDE * min(means):
        means = [math.log(value) for value in means]
    low, high = min(means), max(means)
    scale = (len(levels) - 1) / (high - low) if high > low else 0.0
    return "".join(levels[round((value - low) * scale)] for value in means)
