"""Tables in Markdown."""

import bisect
import html
import itertools
import math
import re
from collections.abc import Iterable, Sequence

from orchestrator.system.printable import in_a_line

SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~$!&])|(?<!\w)(_)|(_)(?!\w)")
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
    lines = ["| " + " | ".join(_cell(text) for text in row) + " |\n" for row in rows]
    ends = list(itertools.accumulate(map(len, lines)))
    if ends[-1] <= longest and not left_out:
        return "".join(lines)
    shown = bisect.bisect_right(ends, longest - len(LEFT_OUT.format(len(lines) + left_out)))
    return "".join(lines[:shown]) + LEFT_OUT.format(len(lines) - shown + left_out)


def escaped(text: str) -> str:
    """A line of text, in which Markdown has no special meaning."""
    return SPECIAL.sub(lambda special: f"\\{special.group()}", in_a_line(text))


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, each in a line."""
    return [in_a_line(part) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")
