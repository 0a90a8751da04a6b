"""The trials of a report, and their configurations: means, intervals and explosion rates over seeds."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.intervals import half_width, wilson
from orchestrator.comparison.ranking import Ranking
from orchestrator.functions import TrialFunction
from orchestrator.spec import Objective, SweepSpec
from orchestrator.system.averages import average
from orchestrator.system.figures import MOST_SIGNIFICANT, SIGNIFICANT, precision
from orchestrator.trial import Outcome, Params
from orchestrator.trials.asked import asked
from orchestrator.trials.labels import label, texts_of, told_apart, varying
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import VERSION, Record, best_name, code_in_words, taken

RUNNING, NOT_RUN = "running", "not run"
MOST_DECIMALS = 12  # of a mean with its interval, and most figures before its point: else it has an exponent
STATES = (*map(str, Outcome), RUNNING, NOT_RUN)


@dataclass(frozen=True)
class Run:
    """A trial, and its record in the store."""

    params: Params
    config_key: str
    label: str
    record: Record | None
    is_asked: bool  # whether the sweep file asks for its configuration
    state: str  # its outcome; or running, or not run

    @property
    def outcome(self) -> Outcome | None:
        return self.record.outcome if self.record else None


@dataclass(frozen=True)
class RunGroup:
    """The runs that differ only in their seed: a configuration, with the records of its seeds."""

    configuration: Configuration
    label: str
    runs: tuple[Run, ...]

    @property
    def params(self) -> Params:
        return self.configuration.params

    @cached_property
    def completed(self) -> list[Record]:
        """The records of the seeds that completed."""
        return [run.record for run in self.runs if run.record and run.outcome is Outcome.COMPLETED]

    @property
    def exploded(self) -> int:
        return self.configuration.exploded

    @property
    def lost(self) -> int:
        """How many seeds exploded or were infeasible."""
        return self.exploded + self.configuration.infeasible

    @property
    def ended(self) -> int:
        """How many seeds completed or exploded."""
        return len(self.completed) + self.exploded

    @property
    def state(self) -> str:
        """How its runs ended: "completed"; "2 completed, 1 loss explosion"."""
        states = {run.state for run in self.runs}
        return states.pop() if len(states) == 1 else counted(self.runs)

    def code(self, function: TrialFunction) -> str:
        """With which code its runs were begun: now, or before."""
        return ", ".join(dict.fromkeys(code_in_words(function, run.record) for run in self.runs if run.record))

    @property
    def is_asked(self) -> bool:
        return any(run.is_asked for run in self.runs)

    @property
    def rate(self) -> str:
        """The share of its seeds that exploded."""
        return rate(self.exploded, self.ended) if self.ended else ""

    def values(self, name: str) -> list[float]:
        """The last value of a metric, for each seed that completed."""
        return [record.metrics[name] for record in self.completed if math.isfinite(record.metrics.get(name, math.nan))]

    def seeds(self, name: str) -> list[object]:
        """The seeds of these values."""
        known = (record for record in self.completed if math.isfinite(record.metrics.get(name, math.nan)))
        return [record.params.get("seed") for record in known]

    def compared(self, objective: Objective) -> list[float]:
        """The value of an objective, for each seed that completed."""
        return [value for record in self.completed if (value := record.value(objective)) is not None]


def runs_of(spec: SweepSpec, records: Sequence[Record], all_records: bool, is_live: bool, is_over: bool) -> list[Run]:
    """The trials that a file asks for; or all stored trials of its parameters, whatever their values.

    Until the sweep is over, those include what is still to run: else parameters of a grid would seem to be constant.

    Args:
        spec: the file.
        records: of the sweep.
        all_records: whether to take all stored trials, rather than those that the file asks for.
        is_live: whether a launch is running, so that trials without an end are running, too.
        is_over: whether its last launch has come to its end.
    """
    by_key = {record.trial_key: record for record in records}
    trials = asked(spec, records)
    rows = [(trial.params, trial.config_key, by_key.get(trial.trial_key)) for trial in trials]
    asked_keys = {config_key for _, config_key, _ in rows}
    if all_records:
        keys = {trial.trial_key for trial in trials}
        rows = [row for row in rows if row[2] or not is_over]
        further = [record for record in taken(spec.function, records) if record.trial_key not in keys]
        rows += [(record.params, record.tags.get("config_key", ""), record) for record in further]
    names = varying([params for params, *_ in rows])
    texts = texts_of([params for params, *_ in rows], names)
    owners = [f"{key} {params.get('seed')}" for params, key, _ in rows]
    named = [label(spec, params, names, texts) or spec.name for params, *_ in rows]
    labels = told_apart(zip(owners, named, (_version(spec, record) for *_, record in rows), strict=True))
    return [
        Run(params, key, labels[own], record, key in asked_keys, _state(record, is_live))
        for own, (params, key, record) in zip(owners, rows, strict=True)
    ]


def configurations_of(spec: SweepSpec, runs: Iterable[Run]) -> list[RunGroup]:
    """The configurations of these runs: a grid in the file's order, a boundary sweep by value, others best first."""
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        by_key.setdefault(run.config_key, []).append(run)
    names = [name for name in varying([group[0].params for group in by_key.values()]) if name != "seed"]
    texts = texts_of([group[0].params for group in by_key.values()], names)
    named = {key: label(spec, group[0].params, names, texts) or spec.name for key, group in by_key.items()}
    labels = told_apart((key, text, _version(spec, by_key[key][0].record)) for key, text in named.items())
    groups = []
    for key, group in by_key.items():
        params = group[0].params
        observations = (
            Observation.of_record(spec.objectives, run.record, spec.constraints) for run in group if run.record
        )
        configuration = Configuration(key, params, tuple(filter(None, observations)))
        groups.append(RunGroup(configuration, labels[key], tuple(group)))
    if spec.method.finds_boundary:
        return sorted(groups, key=lambda group: [_order(group.params[name]) for name in names])
    return groups if spec.method.is_exhaustive or not spec.ranks else best_first(spec, groups)


def best_first(spec: SweepSpec, configurations: Sequence[RunGroup]) -> list[RunGroup]:
    """As they are ranked; those without a value come last."""
    ranked = Ranking((group.configuration for group in configurations), spec.objectives, spec.survivors)
    places = {configuration.config_key: place for place, configuration in enumerate(ranked)}
    return sorted(configurations, key=lambda group: places.get(group.configuration.config_key, len(places)))


def counted_name(objective: Objective, records: Iterable[Record]) -> str:
    """What the value of an objective that counts is called: "best accuracy", where it is that of the best epoch."""
    is_best = objective.counts_best and any(best_name(objective.name) in record.metrics for record in records)
    return f"best {objective.name}" if is_best else objective.name


def counted(runs: Iterable[Run]) -> str:
    """The number of runs by state: "2 completed, 1 loss explosion"."""
    counts = Counter(run.state for run in runs)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "none"


def rate(exploded: int, ended: int) -> str:
    """A count, a share, and Wilson's 95% interval: "1 of 3: 33% (6% to 79%)"."""
    low, high = wilson(exploded, ended)
    return f"{exploded} of {ended}: {exploded / ended:.0%} ({low:.0%} to {high:.0%})"


def figure(value: float, significant: int = SIGNIFICANT) -> str:
    """A number as a report shows it: 0.8500, 39.40, 1578."""
    if significant >= MOST_SIGNIFICANT:
        return repr(value)
    return f"{value + 0.0:#.{significant}g}".removesuffix(".")


def measured(values: Sequence[float], texts: Mapping[float, str] | None = None) -> str:
    """A mean, with its 95% interval where there are several seeds: "0.8491 ± 0.0021".

    Args:
        values: of the seeds.
        texts: of means without an interval, which tell them from their neighbours.
    """
    mean, half = average(values), half_width(values)
    if not half or not math.isfinite(half):
        return ((texts or {}).get(mean) or figure(mean)) + " ± 0" * (half == 0)
    decimals = max(0, 1 - math.floor(math.log10(half)))
    if decimals > MOST_DECIMALS or abs(mean) >= 10**MOST_DECIMALS:
        return f"{mean:.{precision(mean, half)}g} ± {half:.2g}"
    return f"{round(mean, decimals) + 0.0:.{decimals}f} ± {half:.{decimals}f}"


def constants(configurations: Sequence[RunGroup]) -> Params:
    """The parameters that are the same in all configurations, without the seed."""
    differ = varying([configuration.params for configuration in configurations])
    first: Mapping[str, object] = configurations[0].params if configurations else {}
    return {name: value for name, value in first.items() if name not in differ and name != "seed"}


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers come first, then other values as text."""
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else str(value)


def _version(spec: SweepSpec, record: Record | None) -> str | None:
    return str(spec.function.version) if record is None else record.tags.get(VERSION)


def _state(record: Record | None, is_live: bool) -> str:
    if record is None:
        return NOT_RUN
    if record.outcome is not None:
        return str(record.outcome)
    return RUNNING if is_live else str(Outcome.INTERRUPTED)
