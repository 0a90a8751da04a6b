"""The result table of a sweep: a row for each trial that the file asks for, the best first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.comparison.columns import Column, columns
from orchestrator.comparison.configuration import Configuration, configurations
from orchestrator.comparison.intervals import Interval
from orchestrator.comparison.markdown import markdown_table
from orchestrator.comparison.ranking import front, ranking
from orchestrator.spec import Objective, ReferenceRow, SweepSpec, Values
from orchestrator.spec.constraint import broken
from orchestrator.spec.objective import by_names
from orchestrator.system.durations import duration
from orchestrator.system.figures import figure, figures, precision
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.labels import Texts, headings, short, texts_of, varying
from orchestrator.trials.record import Record, code_in_words, has_other_code


@dataclass(frozen=True)
class Row:
    """A trial, its record, and the published row of the same parameters."""

    trial: Trial
    record: Record | None
    reference: ReferenceRow | None
    on_front: bool  # whether its configuration is, where there are several objectives
    broken: tuple[str, ...] = ()  # the constraints that it breaks, in words

    @property
    def outcome(self) -> Outcome | None:
        return self.record.outcome if self.record else None

    def values(self, objectives: Sequence[Objective]) -> Values | None:
        """The values of all objectives, by which it is ranked; None unless it has completed with all of them."""
        return self.record.values(objectives) if self.record and self.outcome is Outcome.COMPLETED else None


@dataclass(frozen=True)
class Table:
    """Rows, best first; those on the Pareto front come before all others, those that lack an objective come last.

    Without objectives, the rows are in the order of the file.
    """

    spec: SweepSpec
    rows: tuple[Row, ...]
    varying: tuple[str, ...]
    configurations: tuple[Configuration, ...]  # of which a seed has a result
    front: tuple[Configuration, ...]  # the Pareto front of these, where there are several objectives
    left_out: int = 0  # trials without a row

    @classmethod
    def of(cls, spec: SweepSpec, trials: Iterable[Trial], records: Mapping[str, Record]) -> "Table":
        """The table of a file's trials, from their records."""
        trials = list(trials)
        pairs = [(trial, records.get(trial.trial_key)) for trial in trials]
        seeds = configurations((record for _, record in pairs if record), spec.objectives, spec.constraints)
        return cls.ranked(spec, pairs, seeds, varying([trial.params for trial in trials]))

    @classmethod
    def ranked(
        cls,
        spec: SweepSpec,
        trials: Iterable[tuple[Trial, Record | None]],
        configurations: Sequence[Configuration],
        names: Iterable[str],
    ) -> "Table":
        """The table of trials.

        Args:
            spec: the file.
            trials: with their records.
            configurations: all of them, also those of trials that are not given here.
            names: of the parameters that vary.
        """
        best = front(ranking(configurations, spec.objectives), spec.objectives) if len(spec.objectives) > 1 else []
        on_front = {configuration.config_key for configuration in best}
        rows = [
            Row(t, record, _reference(spec, t.params), t.config_key in on_front, _broken(spec, record))
            for t, record in trials
        ]

        def rank(row: Row) -> tuple[bool, bool, bool, list[float]]:
            values = row.values(spec.objectives)
            pairs = zip(spec.objectives, values or (), strict=False)
            signed = [-objective.sign * value for objective, value in pairs]
            return values is None, bool(row.broken), not row.on_front, signed

        ordered = sorted(rows, key=rank) if spec.objectives else rows
        return cls(spec, tuple(ordered), tuple(names), tuple(configurations), tuple(best))

    @property
    def best(self) -> Record | None:
        """The best trial, or None where none has completed with values of all objectives and kept all constraints."""
        first = self.rows[0] if self.rows and not self.rows[0].broken else None
        return first.record if first and first.values(self.spec.objectives) else None

    @property
    def title(self) -> str:
        """The sweep, and the order of the rows."""
        names = by_names(self.spec.objectives)
        if not names:
            order = "the file" if self.spec.method.is_exhaustive else "its trials"
            return f"{self.spec.name}: in the order of {order}"
        order = f"best {names} first" if len(self.spec.objectives) == 1 else f"the Pareto front of {names} first"
        return f"{self.spec.name}: {order}"

    def count(self, outcome: Outcome | None) -> int:
        """How many trials have an outcome; None counts those that have not ended."""
        return Counter(row.outcome for row in self.rows)[outcome]

    def header(self) -> list[str]:
        """The columns: what varies, the outcome, the metric, the final metrics, the published ones, the time."""
        compared = ["front"] * (len(self.spec.objectives) > 1)
        compared += [objective.name for objective in self.spec.objectives]
        columns = [*(self.varying or ("sweep",)), "outcome", *compared, *(column.name for column in self.shown)]
        columns += [f"published {name}" for name in self._published]
        return headings([*columns, "epochs", "time", *["code"] * self._shows_code, "remark"])

    def cells(self) -> list[list[str]]:
        """The rows as text, in the header's order."""
        return [self._cells(row) for row in self.rows]

    def markdown(self, longest: int) -> str:
        """The table in Markdown, of at most so many characters; above it the table over seeds, if there are several."""
        over_seeds = ""
        if self.has_replicates:
            over_seeds = f"{markdown_table(*self.over_seeds(), longest // 2, 0)}\n"
        return over_seeds + markdown_table(self.header(), self.cells(), longest - len(over_seeds), self.left_out)

    @property
    def has_replicates(self) -> bool:
        """Whether a configuration has results of several seeds, and a metric to compare them by."""
        return self.spec.ranks and any(configuration.seeds > 1 for configuration in self.configurations)

    def over_seeds(self) -> tuple[list[str], list[list[str]]]:
        """The columns and rows of a table of configurations: means with 95% intervals, seeds, and how these ended."""
        names = [name for name in self.varying if name != "seed"]
        counted = ["seeds", "exploded"]
        counted += ["infeasible"] * any(configuration.infeasible for configuration in self.configurations)
        counted += ["pruned"] * (self.spec.early_terminate is not None)
        constrained = ["breaks"] * any(configuration.broken for configuration in self.configurations)
        without_value = [configuration for configuration in self.configurations if not configuration.values]
        rows = []
        intervals = [configuration.intervals for configuration in self.configurations if configuration.values]
        columns = [figures(interval.mean for interval in column) for column in zip(*intervals, strict=True)]
        for configuration in [*ranking(self.configurations, self.spec.objectives), *without_value]:
            means = [_with_interval(*pair) for pair in zip(configuration.intervals, columns, strict=False)]
            counts = [str(getattr(configuration, name)) for name in counted]
            texts = means or [""] * len(self.spec.objectives)
            breaks = [", ".join(configuration.broken)] * len(constrained)
            rows.append([*self._named(configuration.params, names), *texts, *counts, *breaks])
        return headings([*names, *(one.name for one in self.spec.objectives), *counted, *constrained]), rows

    def _cells(self, row: Row) -> list[str]:
        record = row.record
        names = self._named(row.trial.params, self.varying) or [self.spec.name]
        outcome = "not run" if record is None else str(record.outcome or "running")
        metrics = record.metrics if record else {}
        values = [record.value(objective) if record else None for objective in self.spec.objectives]
        measured = [*values, *(metrics.get(column.name) for column in self.shown)]
        shown = [
            "" if value is None else texts.get(value, "") for value, texts in zip(measured, self._figures, strict=True)
        ]
        if len(self.spec.objectives) > 1:
            shown.insert(0, "yes" if row.on_front else "")
        published = [self._published_cell(row.reference, name) for name in self._published]
        epochs = short(record.last_epoch) if record and record.last_epoch else ""
        time = duration(record.seconds) if record and record.seconds else ""
        code = [code_in_words(self.spec.function, record) if record else ""] * self._shows_code
        remark = "; ".join(filter(None, (record.remark if record else "", *row.broken)))
        return [*names, outcome, *shown, *published, epochs, time, *code, remark]

    def _named(self, params: Params, names: Sequence[str]) -> list[str]:
        """The values of the parameters that vary; empty where a condition leaves a parameter out."""
        active = self.spec.conditions.active(names, params)
        return [self._texts[name][repr(params[name])] if name in active else "" for name in names]

    @cached_property
    def _texts(self) -> Texts:
        """The values of the parameters that vary."""
        configurations = [*(row.trial.params for row in self.rows), *(one.params for one in self.configurations)]
        return texts_of(configurations, self.varying)

    @cached_property
    def _figures(self) -> list[dict[float, str]]:
        """The values of the objectives, then of the other metrics, by column."""
        records = [row.record for row in self.rows if row.record]
        compared = [figures(record.value(objective) for record in records) for objective in self.spec.objectives]
        return [*compared, *(figures(record.metrics.get(column.name) for record in records) for column in self.shown)]

    @cached_property
    def shown(self) -> list[Column]:
        """The metrics in its columns, beside the objectives."""
        return columns(self.spec, (row.record for row in self.rows if row.record))

    @cached_property
    def _shows_code(self) -> bool:
        """Whether some trials ran with other code than that of now."""
        return any(row.record and has_other_code(self.spec.function, row.record) for row in self.rows)

    @cached_property
    def _published(self) -> list[str]:
        rows = [row.reference for row in self.rows if row.reference]
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        return metrics or ["outcome"] * any(row.outcome for row in rows)

    def _published_cell(self, reference: ReferenceRow | None, name: str) -> str:
        if reference is None:
            return ""
        if name in reference.metrics:
            return figure(reference.metrics[name])
        # a published outcome has no figures: it is shown in place of the first figure
        return str(reference.outcome or "") if name == self._published[0] else ""


def _broken(spec: SweepSpec, record: Record | None) -> tuple[str, ...]:
    is_held_to_them = record is not None and record.outcome is Outcome.COMPLETED
    return broken(record.told(spec.constraints)) if record and is_held_to_them else ()


def _reference(spec: SweepSpec, params: Params) -> ReferenceRow | None:
    rows = spec.reference.rows if spec.reference else ()
    return next((row for row in rows if row.params.items() <= params.items()), None)


def _with_interval(interval: Interval, texts: Mapping[float, str]) -> str:
    """A mean, as its neighbours or its interval need it, and half of the interval."""
    if interval.half_width is None:
        return texts[interval.mean]
    mean = figure(interval.mean, precision(interval.mean, interval.half_width))
    return f"{max(mean, texts[interval.mean], key=len)} ± {interval.half_width:.2g}"
