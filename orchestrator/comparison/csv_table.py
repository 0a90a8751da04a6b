"""Tables as CSV, such that whatever reads them finds the same rows and columns, and computes nothing."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable

from orchestrator.system.printable import in_letters

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(inf|nan)")
COMPUTED = ("=", "+", "-", "@")  # a text that begins so is a formula to a spreadsheet, also where they are wide
LONGEST_CELL = 32_000  # characters; a spreadsheet takes 32,767, and Python's csv 131,072


def csv_table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(map(cell, row) for row in (header, *rows))
    return out.getvalue()


def cell(value: object) -> str:
    """A value as text in one line; what a spreadsheet would compute has an apostrophe before it."""
    text = "" if value is None else str(value)
    shown = in_letters(text)
    if len(shown) > LONGEST_CELL:
        shown = f"{shown[:LONGEST_CELL]}…"
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    is_computed = first in COMPUTED or text.startswith(("\t", "\r", "\n"))
    return f"'{shown}" if is_computed and not NUMBER.fullmatch(text) else shown
