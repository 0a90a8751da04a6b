"""The best value of a metric by epoch, of trials that were begun when they were compared by something else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.spec import Objective
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.trials.record import Record, best_name

Curves = Callable[[str, Iterable[Record]], Mapping[str, Mapping[int, float]]]


def with_best(records: Sequence[Record], objectives: Iterable[Objective], curves: Curves) -> list[Record]:
    """The same records, each with the best value of what they are compared by now.

    Args:
        records: of trials.
        objectives: what they are compared by.
        curves: reads a metric by epoch of some records, by run_id; asked for those alone that lack the value.
    """
    found = {record.run_id: record for record in records}
    for objective in objectives:
        lacking = [record for record in found.values() if not record.has_best(objective)]
        for run_id, curve in curves(objective.name, lacking).items() if lacking else ():
            so_far = ObjectiveSoFar(objective)
            for epoch, value in curve.items():
                so_far.take(value, epoch)
            if so_far.best is not None:
                best = {best_name(objective.name): so_far.best}
                found[run_id] = replace(found[run_id], metrics={**found[run_id].metrics, **best})
    return list(found.values())
