"""The metrics that a table shows beside the objectives: as declared, or as reported."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.functions import Goal
from orchestrator.spec import SweepSpec
from orchestrator.trials.record import Record

MOST_UNDECLARED = 8


@dataclass(frozen=True)
class Column:
    """A metric, its title, and whether more or less of it is better, where that is known."""

    name: str
    title: str
    goal: Goal | None = None


def columns(spec: SweepSpec, records: Iterable[Record]) -> list[Column]:
    """The metrics of these trials that a table shows, without the sweep's objectives.

    The final metrics that the trial function declares; where it declares none, a bounded number of those that its
    trials have reported: final metrics, then losses, then other metrics by epoch.
    """
    declaration = spec.function.declaration
    compared = {objective.name for objective in spec.objectives}
    records = list(records)
    if declaration.final:
        declared = [Column(metric.name, metric.heading, metric.goal) for metric in declaration.final]
        reported = {name for record in records for name in record.metrics}
        return [column for column in declared if column.name in reported and column.name not in compared]
    final = dict.fromkeys(name for record in records for name in record.final_names)
    by_epoch = dict.fromkeys(name for record in records for name in record.names_by_epoch)
    losses = [name for name in declaration.losses if name in by_epoch]
    names = [name for name in dict.fromkeys([*final, *losses, *by_epoch]) if name not in compared]
    return [Column(name, name, "minimize" if name in losses else None) for name in names[:MOST_UNDECLARED]]
