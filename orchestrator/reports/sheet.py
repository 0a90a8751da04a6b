"""The runs of a report as CSV."""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.comparison.csv_table import cell, csv_table
from orchestrator.reports.document import Section

OUTCOME = "outcome"
FIRST, LAST = ("sweep", "run"), ("last_epoch", "seconds", "code", "run_id", "remark")


def table(sections: Sequence[Section]) -> str:
    """A row for each run of each sweep: its parameters, its outcome, the last value of each of its metrics.

    A parameter that is called as one of the report's own columns is `param.NAME`, such a metric `metric.NAME`.
    """
    runs = [(section, run) for section in sections for run in section.runs]
    params = list(dict.fromkeys(name for _, run in runs for name in run.params))
    metrics = sorted({name for _, run in runs if run.record for name in run.record.metrics})
    rows = []
    for section, run in runs:
        record = run.record
        values = record.metrics if record else {}
        end = [record.last_epoch, record.seconds, record.digest, record.run_id, record.remark] if record else [""] * 5
        given = [run.params.get(name, "") for name in params]
        reported = [values.get(name, "") for name in metrics]
        rows.append([section.name, run.label, *given, run.state, *reported, *end])
    return csv_table(_columns(params, metrics), rows)


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
