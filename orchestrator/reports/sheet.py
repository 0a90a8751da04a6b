"""The runs of a report as CSV, such that whatever reads it finds the same rows and columns, and computes nothing."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.reports.document import Section
from orchestrator.system.printable import in_letters

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(inf|nan)")
COMPUTED = ("=", "+", "-", "@")  # a text that begins so is a formula to a spreadsheet, also where they are wide
LONGEST_CELL = 32_000  # characters; a spreadsheet takes 32,767, and Python's csv 131,072
OUTCOME = "outcome"
FIRST, LAST = ("sweep", "run"), ("last_epoch", "seconds", "code", "run_id", "remark")


def table(sections: Sequence[Section]) -> str:
    """A row for each run of each sweep: its parameters, its outcome, the last value of each of its metrics.

    A parameter that is called as one of the report's own columns is `param.NAME`, such a metric `metric.NAME`.
    """
    runs = [(section, run) for section in sections for run in section.runs]
    params = list(dict.fromkeys(name for _, run in runs for name in run.params))
    metrics = sorted({name for _, run in runs if run.record for name in run.record.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_columns(params, metrics))
    for section, run in runs:
        record = run.record
        values = record.metrics if record else {}
        end = [record.last_epoch, record.seconds, record.digest, record.run_id, record.remark] if record else [""] * 5
        given = [run.params.get(name, "") for name in params]
        reported = [values.get(name, "") for name in metrics]
        writer.writerow(map(cell, [section.name, run.label, *given, run.state, *reported, *end]))
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


def _columns(params: Iterable[str], metrics: Iterable[str]) -> list[str]:
    """The names of the columns, no two alike."""
    taken = {"", *FIRST, OUTCOME, *LAST}

    def named(kind: str, names: Iterable[str]) -> Iterator[str]:
        for column in map(cell, names):
            while column in taken:
                column = f"{kind}.{column}"
            taken.add(column)
            yield column

    return [*FIRST, *named("param", params), OUTCOME, *named("metric", metrics), *LAST]
