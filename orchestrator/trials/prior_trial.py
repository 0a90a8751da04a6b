"""A trial of another sweep, or of none, from which a search learns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.spec import Objective
from orchestrator.spec.constraint import Constraint
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record


@dataclass(frozen=True)
class PriorTrial:
    """The parameters that are known of it, and how it ended."""

    params: Params
    seen: Observation


def of_records(
    objectives: Sequence[Objective], records: Iterable[Record], constraints: Sequence[Constraint] = ()
) -> list[PriorTrial]:
    """Those that have ended: with a result, or by failing. What was interrupted may yet go on."""
    found = []
    for record in records:
        seen = Observation.of_record(objectives, record, constraints)
        if seen is None and record.outcome is Outcome.FAILED:
            seen = Observation(Outcome.FAILED)
        if seen is not None and not record.is_deleted:
            found.append(PriorTrial(record.params, seen))
    return found
