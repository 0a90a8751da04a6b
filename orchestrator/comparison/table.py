"""The result table of a sweep: a row for each trial that the file asks for, the best first."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from orchestrator.comparison.columns import Column, columns
from orchestrator.comparison.configuration import Configuration, configurations
from orchestrator.comparison.dominance import may_be_dominated
from orchestrator.comparison.intervals import Interval
from orchestrator.comparison.markdown import markdown_table
from orchestrator.comparison.ranking import Ranking
from orchestrator.spec import Objective, ReferenceRow, SweepSpec, Values
from orchestrator.spec.constraint import broken
from orchestrator.spec.objective import by_names
from orchestrator.system.durations import duration
from orchestrator.system.figures import figure, figures, precision
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.labels import Texts, headings, short, texts_of, varying
from orchestrator.trials.record import Record, code_in_words, has_other_code

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A trial, its record, and the published row of the same parameters."""

    trial: Trial
    record: Record | None
    reference: ReferenceRow | None
    on_front: str = ""  # whether its configuration is, where there are several objectives: "yes" or "perhaps"
    broken: tuple[str, ...] = ()  # the constraints that it breaks, in words

    @property
    def outcome(self) -> Outcome | None:
        return self.record.outcome if self.record else None

    def values(self, objectives: Sequence[Objective]) -> Values | None:
        """The values of all objectives, by which it is ranked; None unless it has completed with all of them."""
        return self.record.values(objectives) if self.record and self.outcome is Outcome.COMPLETED else None


@dataclass(frozen=True)
class Table:
    """Rows, those of the best configuration first; those that lack an objective come last.

    Those on the Pareto front come before all others. Without objectives, the rows are in the order of the file.
    """

    spec: SweepSpec
    rows: tuple[Row, ...]
    varying: tuple[str, ...]
    configurations: tuple[Configuration, ...]  # of which a seed has a result
    ranking: Ranking  # of these
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
        ranked = Ranking(configurations, spec.objectives, spec.survivors)
        best = ranked.front if len(spec.objectives) > 1 else []
        doubtful = may_be_dominated(best, ranked) if best else set()
        on_front = {one.config_key: "perhaps" if one.config_key in doubtful else "yes" for one in best}
        rows = [
            Row(t, record, _reference(spec, t.params), on_front.get(t.config_key, ""), _broken(spec, record))
            for t, record in trials
        ]
        places = {configuration.config_key: place for place, configuration in enumerate(ranked)}

        def rank(row: Row) -> tuple[bool, bool, bool, int, list[float]]:
            values = row.values(spec.objectives)
            if values is None:
                return True, True, True, len(places), []
            signed = [-objective.sign * value for objective, value in zip(spec.objectives, values, strict=True)]
            place = places.get(row.trial.config_key, len(places))
            return False, bool(row.broken), not row.on_front, place, signed

        ordered = sorted(rows, key=rank) if spec.objectives else rows
        return cls(spec, tuple(ordered), tuple(names), tuple(configurations), ranked, tuple(best))

    @property
    def best(self) -> Record | None:
        """The best trial of the best configuration.

        None where none has completed with values of all objectives, or none keeps all constraints.
        """
        is_kept = self.ranking and not (self.ranking[0].broken or self.rows[0].broken)
        first = self.rows[0] if self.rows and is_kept else None
        return first.record if first and first.values(self.spec.objectives) else None

    @property
    def title(self) -> str:
        """The sweep, and the order of the rows."""
        names = by_names(self.spec.objectives)
        if not names:
            order = "the file" if self.spec.method.is_exhaustive else "its trials"
            return f"{self.spec.name}: in the order of {order}"
        order = f"best {names} first" if len(self.spec.objectives) == 1 else f"the Pareto front of {names} first"
        return f"{self.spec.name}: {order}{', over seeds' * self.has_replicates}"

    def count(self, outcome: Outcome | None) -> int:
        """How many trials have an outcome; None counts those that have not ended."""
        return Counter(row.outcome for row in self.rows)[outcome]

    def header(self) -> list[str]:
        """The columns: what varies, the outcome, the metric, the final metrics, the published ones, the time."""
        compared = ["front"] * (len(self.spec.objectives) > 1)
        compared += [objective.name for objective in self.spec.objectives]
        columns = [*(self.varying or ("sweep",)), "outcome", *compared, *(column.name for column in self.shown)]
        columns += [f"published {name}" for name in self._published]
        epochs = "last epoch" if "epochs" in columns else "epochs"
        return headings([*columns, epochs, "time", *["code"] * self._shows_code, "remark"])

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
        """The columns and rows of a table of configurations, best first.

        Means of the seeds that completed with their 95% intervals; where others count as the worst of the sweep, or as
        what they had when they were pruned, what comes of that; the number of seeds, and how these ended.
        """
        names = [name for name in self.varying if name != "seed"]
        counted = ["seeds", "exploded", *["infeasible"] * any(one.infeasible for one in self.configurations)]
        counted += ["pruned"] * (self.spec.early_terminate is not None)
        aims = [objective.name for objective in self.spec.objectives]
        constrained = ["breaks"] * any(configuration.broken for configuration in self.configurations)
        is_counted = any(self.ranking.expected(one) != one.means for one in self.ranking)
        expected = [f"{name}, all seeds" for name in aims] if is_counted else []
        columns = [figures(interval.mean for interval in of_it) for of_it in self._each(lambda one: one.intervals)]
        ranked_by = [figures(of_it) for of_it in self._each(self.ranking.expected)] if is_counted else []

        def ending(one: Configuration) -> list[str]:
            return [*(str(getattr(one, name)) for name in counted), *[", ".join(one.broken)] * len(constrained)]

        rows = []
        for one in self.ranking:
            texts = [_with_interval(*pair) for pair in zip(one.intervals, columns, strict=True)]
            texts += [of_it[value] for of_it, value in zip(ranked_by, self.ranking.expected(one), strict=False)]
            rows.append([*self._named(one.params, names), *texts, *ending(one)])
        without_value = [configuration for configuration in self.configurations if not configuration.values]
        for one in sorted(without_value, key=lambda one: not one.pruned):
            texts = [""] * (len(aims) + len(expected))
            rows.append([*self._named(one.params, names), *texts, *ending(one)])
        return headings([*names, *aims, *expected, *counted, *constrained]), rows

    def _each(self, value: Callable[[Configuration], Sequence[T]]) -> list[tuple[T, ...]]:
        """What the ranked configurations have of each objective."""
        return [*zip(*map(value, self.ranking), strict=True)]

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
            shown.insert(0, row.on_front)
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
