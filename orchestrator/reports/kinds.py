"""What befell runs, as tables: explosions and remarks, those of a kind once."""

import re
from collections.abc import Iterable, Sequence

from orchestrator.reports.configurations import Run, figure
from orchestrator.reports.document import Cell, Part, ReportTable
from orchestrator.trial import Outcome

MOST = 20
NONE = "\u2013"
_NUMBERS = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?")


def explosions(runs: Sequence[Run]) -> Part | None:
    """Each kind of explosion once: runs whose reasons differ only in numbers are of the same kind."""
    kinds = kinds_of(runs)
    if not kinds:
        return None
    rows = []
    for kind in kinds[:MOST]:
        first = kind[0]
        tags = first.record.tags if first.record else {}
        last = tags.get("explosion.last_finite_loss")
        at = [tags.get(f"explosion.{name}", NONE) for name in ("epoch", "step")]
        reason = first.record.remark if first.record else ""
        told = [*at, NONE if last is None else figure(float(last)), reason, str(len(kind))]
        rows.append((_linked(first), *map(Cell, told)))
    header = ("first run", "epoch", "step", "last finite loss", "reason", "runs")
    return Part("Explosions", grid=ReportTable(header, tuple(rows)))


def kinds_of(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that exploded, by the reason without its numbers; the most frequent kind first."""
    return _kinds(run for run in runs if run.outcome is Outcome.EXPLODED)


def remarks(runs: Sequence[Run]) -> Part | None:
    """The remarks on runs that failed, or that completed and learned nothing: those of a kind once."""
    kinds = _kinds(run for run in runs if run.record and run.record.remark and run.outcome is not Outcome.EXPLODED)
    rows = [
        (
            _linked(kind[0]),
            Cell(kind[0].state),
            Cell(kind[0].record.remark if kind[0].record else ""),
            Cell(str(len(kind))),
        )
        for kind in kinds[:MOST]
    ]
    words = (f"The first {MOST} of {len(kinds)} kinds; the CSV file has all runs.",) if len(kinds) > MOST else ()
    header = ("first run", "outcome", "remark", "runs")
    return Part("Remarks", words, ReportTable(header, tuple(rows))) if rows else None


def _kinds(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs by outcome and reason without its numbers; the most frequent kind first."""
    kinds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.record:
            kinds.setdefault((run.state, _NUMBERS.sub("", run.record.remark)), []).append(run)
    return sorted(kinds.values(), key=len, reverse=True)


def _linked(run: Run) -> Cell:
    return Cell(run.label, run_id=run.record.run_id if run.record else "")
