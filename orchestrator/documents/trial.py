"""A trial with its result, and a configuration with the results of its seeds."""

from typing import Self

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import Ranking
from orchestrator.comparison.table import Row
from orchestrator.documents.base import DocumentPart, Metrics, Number, Params
from orchestrator.functions import Goal
from orchestrator.spec import Objective
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import BROKEN, Record


class MetricPart(DocumentPart):
    """A metric that trials are compared by."""

    name: str
    goal: Goal
    target: Number | None
    """The value at which the sweep ends."""

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """An objective."""
        return cls(name=objective.name, goal=objective.goal, target=objective.target)


class TrialPart(DocumentPart):
    """A trial, and what the store has of it."""

    trial: str
    """Its label: what varies."""
    trial_key: str
    config_key: str
    """That of all seeds of its configuration."""
    params: Params
    run_id: str | None
    """In MLflow; null where it has not begun."""
    outcome: Outcome | None
    """Null where it has not ended."""
    remark: str
    """Why it exploded, is infeasible, failed or was pruned, or that it learned nothing; else empty."""
    metrics: Metrics
    """The last value of each metric; `best_NAME` has the best by epoch."""
    broken: list[str]
    """The constraints of the file that it breaks, in words."""
    epochs: int | None
    """That it was trained for."""
    seconds: Number | None
    """Of training."""

    @classmethod
    def of(cls, trial: Trial, record: Record | None, broken: tuple[str, ...] = ()) -> Self:
        """A trial and its record; None where it has not begun."""
        return cls(
            trial=trial.label,
            trial_key=trial.trial_key,
            config_key=trial.config_key,
            params=dict(trial.params),
            run_id=record.run_id if record else None,
            outcome=record.outcome if record else None,
            remark=record.remark if record else "",
            metrics=dict(record.metrics) if record else {},
            broken=[*broken],
            epochs=record.last_epoch if record else None,
            seconds=record.seconds if record else None,
        )

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """A trial as the store has it."""
        return cls(
            trial=record.label,
            trial_key=record.trial_key,
            config_key=record.tags["config_key"],
            params=dict(record.params),
            run_id=record.run_id,
            outcome=record.outcome,
            remark=record.remark,
            metrics=dict(record.metrics),
            broken=[record.tags[BROKEN]] if BROKEN in record.tags else [],
            epochs=record.last_epoch,
            seconds=record.seconds,
        )

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """A row of the result table."""
        return cls.of(row.trial, row.record, row.broken)


class ValuePart(DocumentPart):
    """A metric of a configuration over its seeds."""

    metric: str
    mean: Number
    """Of the seeds that completed."""
    interval: tuple[Number, Number] | None
    """Of 95%, by Student's t; null where there is one seed."""
    ranked_by: Number
    """All seeds together: those that exploded, were infeasible or have no value count as the worst of the sweep."""


class ConfigurationPart(DocumentPart):
    """A configuration of which a seed has completed, and the results of its seeds."""

    configuration: str
    """Its label: what varies, without the seed."""
    config_key: str
    params: Params
    """Without the seed."""
    values: list[ValuePart]
    seeds: int
    """That have a result."""
    exploded: int
    infeasible: int
    pruned: int
    without_value: int
    """Seeds that completed without a value of a metric."""
    breaks: list[str]
    """The constraints of the file that it breaks, in words."""

    @classmethod
    def of(cls, one: Configuration, ranked: Ranking, label: str) -> Self:
        """A configuration of a ranking."""
        expected = ranked.expected(one)
        values = [
            ValuePart(
                metric=objective.name,
                mean=interval.mean,
                interval=None
                if interval.half_width is None
                else (interval.mean - interval.half_width, interval.mean + interval.half_width),
                ranked_by=by,
            )
            for objective, interval, by in zip(ranked.objectives, one.intervals, expected, strict=True)
        ]
        return cls(
            configuration=label,
            config_key=one.config_key,
            params={name: value for name, value in one.params.items() if name != "seed"},
            values=values,
            seeds=one.seeds,
            exploded=one.exploded,
            infeasible=one.infeasible,
            pruned=one.pruned,
            without_value=one.without_value,
            breaks=one.broken,
        )
