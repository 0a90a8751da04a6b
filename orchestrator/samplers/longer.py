"""Has longer trials in place of those of a file that somebody has asked more epochs for."""

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.samplers import Sampler
from orchestrator.spec import SweepSpec
from orchestrator.trial import Params, Trial
from orchestrator.trials.longer import Longer
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record


class LongerSampler:
    """Another sampler, which knows the file's trials alone, and takes the results of longer ones for theirs."""

    def __init__(self, spec: SweepSpec, inner: Sampler) -> None:
        self.inner, self.learns = inner, inner.learns
        self.longer = Longer(spec)
        self._asked: dict[str, Trial] = {}  # the file's trials, by the trial_keys of the longer ones that began

    @property
    def total(self) -> int | None:
        return self.inner.total

    @property
    def remark(self) -> str:
        return self.inner.remark

    @property
    def trials(self) -> Sequence[Trial]:
        trials = self.inner.trials
        return [self.longer.trial(trial) for trial in trials] if self.longer.epochs else trials

    @property
    def has_more(self) -> bool:
        return self.inner.has_more

    @property
    def waiting(self) -> list[Record]:
        """What is to go on as one of the trials."""
        waiting = self.longer.waiting
        return [waiting[trial.trial_key] for trial in self.inner.trials if trial.trial_key in waiting]

    def note(self, records: Iterable[Record], requests: Mapping[str, int] | None = None) -> None:
        """Know which trials are longer, or are to be, by what the store has and what somebody has asked for."""
        self.longer = Longer.of(self.longer.spec, records, requests)

    def is_longer(self, trial: Trial) -> bool:
        """Whether a trial that was asked for is longer than the file's."""
        return trial.trial_key in self._asked

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        if self.longer.epochs:
            asked = map(self.longer.asked, [*history.values(), *self.longer.waiting.values()])
            history = {record.trial_key: record for record in asked}
        self.inner.replay(history, begun)

    def ask(self) -> Trial | None:
        trial = self.inner.ask()
        if trial is None or trial.trial_key not in self.longer.epochs:
            return trial
        longer = self.longer.trial(trial)
        self._asked[longer.trial_key] = trial
        return longer

    def tell(self, trial: Trial, observation: Observation) -> None:
        self.inner.tell(self._asked.get(trial.trial_key, trial), observation)

    def again(self, trial: Trial) -> None:
        self.inner.again(self._asked.get(trial.trial_key, trial))

    def examples(self) -> Sequence[Params]:
        return self.inner.examples()
