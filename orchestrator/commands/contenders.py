"""Which configurations are to be judged: named by a label, a run, or a sweep whose best one is meant."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.commands.lookup import asked, existing
from orchestrator.comparison.judgement import Contender
from orchestrator.comparison.ranking import ranking_of
from orchestrator.errors import InputError
from orchestrator.spec import Objective, nearest
from orchestrator.spec.objective import by_names
from orchestrator.system import paths
from orchestrator.system.printable import in_a_line
from orchestrator.trials.asked import of_file
from orchestrator.trials.labels import told_apart
from orchestrator.trials.meant import listed
from orchestrator.trials.record import VERSION, taken

if TYPE_CHECKING:
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record

FEW_LETTERS = 8  # of a run's id, in a list of candidates


class Contenders:
    """The configurations of a store, or of one sweep in it, by what people call them.

    Args:
        reader: the store.
        sweep: FILE or NAME of the sweep that labels and runs are looked for in; None: all sweeps.
        metric: what they are compared by, where sweeps have several metrics.
    """

    def __init__(self, reader: "Store", sweep: str | None, metric: str | None) -> None:
        self.reader, self.metric = reader, metric
        self.sweeps = reader.sweeps()
        self._within = self.sweeps if sweep is None else [existing(sweep, reader)]
        self._is_within = sweep is not None

    def find(self, given: str) -> Contender:
        """The configuration that is meant.

        Raises:
            InputError: there is none, or several are meant.
        """
        if not self._is_within and (paths.is_file(given) or given in self.sweeps):
            return self.best(given)
        known = [one for name in self._within for one in self._configurations(name)]
        found = _meant(known, given)
        if len(found) == 1:
            return found[0]
        names = [f"{one.title} (run {one.records[0].run_id[:FEW_LETTERS]})" for one in found]
        if found:
            raise InputError(
                f"{len(found)} configurations are called {in_a_line(given)}; name one by its run, or the sweep by "
                f"--sweep: {listed(names)}"
            )
        if self._is_within:
            labels = [one.label for one in known]
            have = listed(labels) or "none"
            raise InputError(f"{self._within[0]} has no configuration {in_a_line(given)}; it has {have}")
        have = listed(self.sweeps) or "none"
        raise InputError(f"the store has no sweep, configuration or run {in_a_line(given)}; its sweeps: {have}")

    def best(self, given: str) -> Contender:
        """The best configuration of a sweep, as `sweep best` has it, by its FILE or NAME.

        Raises:
            InputError: none has a value of the metric, or none keeps the constraints of the file.
        """
        sweep, _, spec = asked(given, self.reader)
        if spec.method.finds_boundary:
            raise InputError(f"{sweep}: method {spec.method.name} looks for a boundary, and has no best configuration")
        objective = self.objective([sweep])
        records = self.reader.records(sweep, [objective])
        records = taken(spec.function, of_file(spec, records) if paths.is_file(given) else records)
        ranked = ranking_of(spec, records, [objective])
        if not ranked:
            raise InputError(f"no trial of {sweep} has completed with a value of {objective.name}")
        if ranked[0].broken:
            raise InputError(f"no configuration of {sweep} keeps its constraints; name one by its label")
        best = next(one for one in self._configurations(sweep) if one.config_key == ranked[0].config_key)
        return Contender(best.sweep, best.label, best.records, len(ranked))

    def objective(self, sweeps: Sequence[str]) -> Objective:
        """The metric that all of these sweeps are compared by.

        Raises:
            InputError: they have different metrics, several, or none.
        """
        found = {name: self.reader.last_launch(name).objectives for name in sweeps}
        for name, aims in found.items():
            if not aims:
                raise InputError(f"{name}: has no metric, so its configurations cannot be compared; add `metric`")
        if self.metric is not None:
            found = {name: [aim for aim in aims if aim.name == self.metric] for name, aims in found.items()}
        for name, aims in found.items():
            names = [aim.name for aim in self.reader.last_launch(name).objectives]
            if not aims:
                raise InputError(f"{name} is not compared by {self.metric}; {nearest(str(self.metric), names)}")
            if len(aims) > 1:
                raise InputError(f"{name} has several metrics, {by_names(aims)}; name one with --metric")
        one, *others = (aims[0] for aims in found.values())
        for other in others:
            if (one.name, one.goal) != (other.name, other.goal):
                first, second = sweeps[0], sweeps[-1]
                raise InputError(
                    f"{first} is compared by {one.name} ({one.goal}), and {second} by {other.name} ({other.goal}); "
                    "configurations of both need a metric that both have"
                )
        return one if all(other.counts_best for other in others) else others[0]

    def again(self, contender: Contender, objective: Objective) -> Contender:
        """The same with the trials that the store has now, and their best values."""
        records = self.reader.records(contender.sweep, [objective])
        own = [record for record in records if record.tags["config_key"] == contender.config_key]
        return Contender(contender.sweep, contender.label, own or contender.records, contender.choices)

    def _configurations(self, sweep: str) -> list[Contender]:
        by_key: dict[str, list[Record]] = {}
        for record in self.reader.records(sweep):
            by_key.setdefault(record.tags["config_key"], []).append(record)
        last = {key: records[-1] for key, records in by_key.items()}
        named = {key: in_a_line(record.tags.get("config", record.label)) or sweep for key, record in last.items()}
        labels = told_apart((key, label, last[key].tags.get(VERSION)) for key, label in named.items())
        return [Contender(sweep, labels[key], records) for key, records in by_key.items()]


def _meant(known: Sequence[Contender], given: str) -> list[Contender]:
    """Those that are meant, in the first way in which any are."""
    given = in_a_line(given).strip()
    parts = {*given.split()}
    ways = (
        [one for one in known if one.label == given],
        [one for one in known if any(record.label == given for record in one.records)],
        [one for one in known if given and any(_begins(record, given) for record in one.records)],
        [one for one in known if parts and parts <= {*one.label.split()}],
        [one for one in known if parts and any(parts <= {*record.label.split()} for record in one.records)],
    )
    return next((found for found in ways if found), [])


def _begins(record: "Record", given: str) -> bool:
    keys = (record.run_id, record.trial_key, record.tags["config_key"])
    return any(key.startswith(given) for key in keys)
