"""Tables in Markdown."""

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence

LEFT_OUT = "\nand {} more\n"


def markdown_table(
    header: Sequence[str], cells: Iterable[Sequence[str]], longest: float = math.inf, left_out: int = 0
) -> str:
    """A table in Markdown, of at most so many characters; its last line gives the number of rows that are left out.

    Args:
        header: the titles of the columns.
        cells: the rows, as text in the header's order.
        longest: characters, of which the last rows may be left out to stay within them.
        left_out: rows that were left out before.
    """
    rows = [header, ["---"] * len(header), *cells]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows]
    ends = list(itertools.accumulate(map(len, lines)))
    if ends[-1] <= longest and not left_out:
        return "".join(lines)
    shown = bisect.bisect_right(ends, longest - len(LEFT_OUT.format(len(lines) + left_out)))
    return "".join(lines[:shown]) + LEFT_OUT.format(len(lines) - shown + left_out)
