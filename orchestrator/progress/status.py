"""How far a sweep is: a snapshot, taken by the launch itself, or from the store."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median

from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.places import Places
from orchestrator.progress.forecast import Forecast, epochs, kind_of
from orchestrator.spec import Objective
from orchestrator.trial import Outcome, Params
from orchestrator.trials.record import BROKEN, Record

LOSS = "loss"  # the name of any declared loss where it is shown

Point = tuple[int, float, float]  # epoch, value of a metric, and when it was reported (seconds since 1970)


@dataclass(frozen=True)
class Curve:
    """A metric of a trial by epoch."""

    metric: str = LOSS
    points: Sequence[Point] = ()


@dataclass(frozen=True)
class Running:
    """A trial that runs."""

    label: str
    epoch: int = 0  # the last whole one
    epochs: int | None = None  # that it will have, where that is known
    step: int = 0  # of the current epoch; 0 where steps are not reported
    steps: int | None = None  # of an epoch
    value: float | None = None  # the latest of `metric`
    values: Sequence[float] = ()
    rate: float | None = None  # per second, as the function declares it
    seconds_left: float | None = None
    metric: str = LOSS  # as `display_name` names it

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        if not self.epochs:
            return 0.0
        within = min(1.0, self.step / self.steps) if self.steps else 0.0
        return min(1.0, (self.epoch + within) / self.epochs)


@dataclass(frozen=True)
class Best:
    """The trial with the best value of an objective among those that completed."""

    label: str
    params: Params
    objective: Objective
    value: float

    @property
    def has_reached_target(self) -> bool:
        """Whether it is at least as good as the target, if there is one."""
        return self.objective.is_reached(self.value)

    def is_better_than(self, other: "Best | None") -> bool:
        """Whether it takes the other's place."""
        return other is None or self.objective.is_better(self.value, other.value)


def best(found: Iterable[Best]) -> Best | None:
    """The first of the best."""
    first: Best | None = None
    for candidate in found:
        first = candidate if candidate.is_better_than(first) else first
    return first


@dataclass(frozen=True)
class Status:
    """A sweep's trials; `asked` is how many its launch is to bring to a result, None: until it is stopped."""

    name: str
    asked: int | None
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    running: Sequence[Running] = ()
    best: Best | None = None
    seconds: float | None = None  # since the launch began
    seconds_left: float | None = None  # until the last trial has its result; None if unknown
    places: Places | None = None  # where trials run, where that is not known from the beginning
    workers: int | None = None  # at once, where somebody has asked for so many; 0: it is paused
    rate: float | None = None  # ends of trials in a second, where they are many

    @property
    def results(self) -> int:
        """How many trials have their result."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.is_result)

    @property
    def share(self) -> float:
        """How much of the sweep is done, from 0 to 1; 0 where it runs until it is stopped."""
        done = self.results + sum(running.share for running in self.running)
        return min(1.0, done / self.asked) if self.asked else 0.0

    @classmethod
    def of(
        cls,
        name: str,
        records: Sequence[Record],
        asked: int | None,
        objective: Objective | None,
        curves: Mapping[str, Curve],
        declaration: Declaration = UNDECLARED,
    ) -> "Status":
        """The status according to the store.

        Args:
            name: of the sweep.
            records: of its trials.
            asked: how many its last launch was to bring to a result; None: until it is stopped.
            objective: that they are compared by first, if the store has it.
            curves: by run_id, a metric by epoch of each running trial, as `shown_metric` chooses it. Other trials that
                are marked as running were cut off.
            declaration: of the trial function, as far as the store has it.
        """
        outcomes = Counter(
            record.outcome or Outcome.INTERRUPTED for record in records if record.outcome or record.run_id not in curves
        )
        forecast = Forecast(declaration.pace, records if curves else ())  # it is of use to what runs alone
        running = [
            _running(record, curves[record.run_id], forecast, declaration)
            for record in records
            if record.run_id in curves
        ]
        results = [record for record in records if record.outcome and record.outcome.is_result]
        took = [record.seconds for record in results if record.seconds]
        left = None
        if asked is not None:
            waiting = max(0, asked - len(results) - len(running))
            after = mean(took) * waiting if took else (None if waiting else 0.0)
            left = time_left(running, after, len(running))
        return cls(
            name,
            asked,
            outcomes,
            running,
            best(completed(records, objective)) if objective else None,
            seconds_left=left,
        )


def shown_metric(reported: Collection[str], declaration: Declaration, objective: Objective | None) -> str | None:
    """The metric by epoch that shows the progress of a trial: a loss, else the objective, else any.

    Args:
        reported: names of the metrics that the trial has reported by epoch.
        declaration: of its function.
        objective: that trials are compared by first, if there is one.
    """
    wanted = [*declaration.losses, *([objective.name] if objective else []), *reported]
    return next((name for name in wanted if name in reported), None)


def display_name(metric: str, declaration: Declaration) -> str:
    """The name of a metric where a trial's progress is shown: the same for all losses, so that a column has them."""
    return LOSS if metric in declaration.losses else metric


def time_left(running: Sequence[Running], after: float | None, at_a_time: int) -> float | None:
    """Seconds until the last trial has its result, where the trials that are yet to start take `after` in all."""
    lefts = [trial.seconds_left for trial in running if trial.seconds_left is not None]
    if not running or after is None or len(lefts) < len(running):
        return None
    return max((sum(lefts) + after) / at_a_time, *lefts)


def completed(records: Iterable[Record], objective: Objective) -> Iterable[Best]:
    """The trials that completed with a value of the objective, and broke no constraint."""
    for record in records:
        value = record.value(objective)
        if record.outcome is Outcome.COMPLETED and value is not None and BROKEN not in record.tags:
            yield Best(record.label, record.params, objective, value)


def _running(record: Record, curve: Curve, forecast: Forecast, declaration: Declaration) -> Running:
    total = epochs(record.params)
    if not curve.points:
        seconds = forecast.seconds(kind_of(record, declaration.pace), total)
        return Running(record.label, epochs=total, seconds_left=seconds)
    epoch, value, last = curve.points[-1]
    times = [at for _, _, at in curve.points]
    # of a resumed trial, this includes the time until it was resumed
    waits = [later - earlier for earlier, later in itertools.pairwise(times)] or [max(0.0, last - record.began)]
    return Running(
        record.label,
        epoch,
        total,
        metric=curve.metric,
        value=value,
        values=[value for _, value, _ in curve.points],
        rate=record.metrics.get(declaration.rate),
        seconds_left=median(waits) * (total - epoch) if total else None,
    )
