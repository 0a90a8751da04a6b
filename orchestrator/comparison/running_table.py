"""The results of a sweep so far: a table of its best trials, in bounded memory."""

from collections import Counter
from dataclasses import dataclass, field, replace

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.table import Table
from orchestrator.spec import SweepSpec
from orchestrator.system.figures import numbered
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record

MOST_ROWS = 50


@dataclass
class RunningTable:
    """Collects trials as they end. It keeps the results of each configuration, and the best trials of the last table.

    So with several objectives a trial may be missing that joined the front by later results of other seeds. The table
    at the end of the sweep, which is made from the store, has all trials.
    """

    spec: SweepSpec
    asked: int | None = 0  # trials; None: until the sweep is stopped
    ended: Counter[Outcome] = field(default_factory=Counter)
    _best: list[tuple[Trial, Record | None]] = field(default_factory=list)  # and those that ended since
    _configurations: dict[str, Configuration] = field(default_factory=dict)  # by config_key
    _taken: dict[str, tuple[Outcome, Observation | None]] = field(default_factory=dict)  # by trial_key
    _first: Params = field(default_factory=dict)
    _varying: set[str] = field(default_factory=set)

    def take(self, trial: Trial, record: Record) -> None:
        """Take in a trial that has ended, and its record."""
        if record.outcome is None:
            return
        self.ended[record.outcome] += 1
        self._first = self._first or trial.params
        self._varying |= {name for name, value in trial.params.items() if value != self._first.get(name)}
        self._best.append((trial, record))
        observation = Observation.of_record(self.spec.objectives, record, self.spec.constraints)
        self._taken[trial.trial_key] = record.outcome, observation
        if observation is not None:
            configuration = self._configurations.get(trial.config_key, Configuration(trial.config_key, trial.params))
            self._configurations[trial.config_key] = configuration.after(observation)

    def leave(self, trial: Trial) -> None:
        """Be without a trial that was taken in, and runs anew."""
        outcome, observation = self._taken.pop(trial.trial_key, (None, None))
        if outcome is not None:
            self.ended[outcome] -= 1
            self.ended = +self.ended
        self._best = [(known, record) for known, record in self._best if known.trial_key != trial.trial_key]
        if observation is not None:
            self._configurations[trial.config_key] = self._configurations[trial.config_key].without(observation)

    def table(self) -> Table:
        """The best trials, and all configurations."""
        varying = [name for name in self._first if name in self._varying]
        table = Table.ranked(self.spec, self._best, [*self._configurations.values()], varying)
        rows = table.rows[:MOST_ROWS]
        self._best = [(row.trial, row.record) for row in rows]
        return replace(table, rows=rows, left_out=self.ended.total() - len(rows))

    def heading(self) -> str:
        """The number of trials that have ended, by outcome, as a paragraph."""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.ended.items())
        ended = self.ended.total()
        running = f" until stopped: {numbered(ended)}" if self.asked is None else f": {ended} of {numbered(self.asked)}"
        return f"Running{running} ended{f' ({counts})' if counts else ''}.\n\n"
