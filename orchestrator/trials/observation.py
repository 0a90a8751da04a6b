"""The result of a trial, as a sampler sees it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.events import Event, Finished, Infeasibility, Progress
from orchestrator.spec import Objective, Values
from orchestrator.spec.constraint import Constraint, ConstraintsSoFar, margins
from orchestrator.spec.objective import ObjectiveSoFar, complete
from orchestrator.trial import Outcome
from orchestrator.trials.record import MARGIN, Record

_NUMBERS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Observation:
    """How a trial ended: its values of the objectives if it has all, its distance from an explosion, its last epoch.

    The values of a pruned trial are its last ones.
    """

    outcome: Outcome
    values: Values | None = None
    margin: float | None = None  # how far beyond an explosion it was
    epoch: int = 0
    known: Sequence[float | None] = ()  # of each objective; None where it has no finite value
    diagnosis: str = ""
    infeasible: Infeasibility | None = None  # what it lacked
    margins: Mapping[str, float] = field(default_factory=dict)  # by constraint of the file: above 0 where it broke that
    failure: str = ""  # why it failed, without numbers
    seed: int | None = None  # where it comes from the record of a trial that has one

    @property
    def counted(self) -> Values | None:
        """The values that count: none of what exploded or was infeasible, whatever it had come to before."""
        return None if self.outcome.is_bad else self.values

    @classmethod
    def of_events(
        cls, objectives: Sequence[Objective], events: Iterable[Event], constraints: Sequence[Constraint] = ()
    ) -> "Observation":
        """From all events of a trial. A trial without an end counts as failed."""
        events = list(events)
        end = next((event for event in reversed(events) if isinstance(event, Finished)), Finished(Outcome.FAILED))
        so_far, epoch = [ObjectiveSoFar(objective) for objective in _counted(objectives, end.outcome)], 0
        constrained = ConstraintsSoFar(constraints)
        for event in events:
            if isinstance(event, Progress):
                epoch = max(epoch, event.epoch)
                constrained.take(event.metrics, event.epoch, event.not_finite)
                for value in so_far:
                    value.take(event.metrics.get(value.objective.name), event.epoch)
        known = [value.value(end.metrics.get(value.objective.name)) for value in so_far]
        beyond = margins(constrained.told(end.metrics, end.not_finite))
        why = failure(end.reason) if end.outcome is Outcome.FAILED else ""
        diagnosis = end.diagnosis or ""
        return cls(end.outcome, complete(known), end.margin, epoch, known, diagnosis, end.infeasible, beyond, why)

    @classmethod
    def of_record(
        cls, objectives: Sequence[Objective], record: Record, constraints: Sequence[Constraint] = ()
    ) -> "Observation | None":
        """From the record of a trial, or None where it has no result."""
        if record.end is None or record.is_deleted:
            return None if record.end is None else cls(record.end)
        known = [record.value(objective) for objective in _counted(objectives, record.end)]
        beyond, diagnosis = margins(record.told(constraints)), record.tags.get("diagnosis", "")
        last, margin = record.last_epoch or 0, record.metrics.get(MARGIN)
        seed = record.params.get("seed")
        own = seed if isinstance(seed, int) else None
        return cls(record.end, complete(known), margin, last, known, diagnosis, record.infeasible, beyond, seed=own)


def valued(seeds: Mapping[int, Observation], worst: float | None) -> dict[int, float]:
    """The value of the first objective that each seed counts with, by seed.

    Args:
        seeds: with a result.
        worst: what counts for a seed that exploded, was infeasible or has no value, whatever it had come to before;
            None where such seeds do not count.
    """
    known = {seed: seen.counted[0] if seen.counted else worst for seed, seen in seeds.items()}
    return {seed: value for seed, value in known.items() if value is not None}


def failure(reason: str | None) -> str:
    """Why a trial failed, without numbers, so that it is the same for trials that failed alike."""
    return _NUMBERS.sub("", reason or "")


def _counted(objectives: Sequence[Objective], outcome: Outcome) -> Sequence[Objective]:
    if outcome is not Outcome.PRUNED:
        return objectives
    return [replace(objective, counts_best=False) for objective in objectives]
