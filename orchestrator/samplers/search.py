"""A search: configurations that an Optuna sampler proposes, each run once for every seed."""

import itertools
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from orchestrator.divergence import FARTHEST
from orchestrator.observation import Observation
from orchestrator.record import Record
from orchestrator.samplers.proposals import Proposals
from orchestrator.search_space import SearchSpace
from orchestrator.spec import SweepSpec
from orchestrator.trial import Outcome, Params, Proposal, Trial

REPEATS = 5  # of what is known, in a row: then the sampler stays there, and can learn from another seed alone
ATTEMPTS = 100  # to have something new proposed


@dataclass
class Configuration:
    """Values of what is searched, and its trials, one a seed."""

    values: Params
    number: int  # of the proposal that waits for its result
    trials: list[Trial]
    observations: dict[str, Observation] = field(default_factory=dict)  # by trial_key; of those that have ended

    @property
    def has_ended(self) -> bool:
        return all(trial.trial_key in self.observations for trial in self.trials)

    @property
    def results(self) -> list[Observation]:
        return [one for one in self.observations.values() if one.outcome.is_result]

    @property
    def value(self) -> float | None:
        """The mean over the seeds that reached one."""
        values = [one.value for one in self.results if one.outcome is not Outcome.EXPLODED and one.value is not None]
        return fmean(values) if values else None

    @property
    def margin(self) -> float | None:
        """How far it is beyond an explosion: the mean of seeds that exploded, if half of them did, or of the others."""
        exploded = [one for one in self.results if one.outcome is Outcome.EXPLODED]
        stable = [one for one in self.results if one.outcome is not Outcome.EXPLODED]
        told = exploded if len(exploded) >= len(stable) else stable
        if told is exploded:
            return fmean(FARTHEST if one.margin is None else one.margin for one in told) if told else None
        margins = [one.margin for one in told if one.margin is not None]
        return fmean(margins) if margins else None


class SearchSampler:
    """Proposes what an Optuna sampler thinks best, given all that has ended."""

    learns = True

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.total = spec.run_cap or 0
        self.space = SearchSpace(spec)
        self.trials: list[Trial] = []
        self._proposals = Proposals(spec.method, spec.metric, self.space.domains, spec.seed)
        self._configurations: dict[str, Configuration] = {}  # by config_key
        self._waiting: deque[Trial] = deque()
        self._exhausted = False

    @property
    def has_more(self) -> bool:
        return bool(self._waiting) or (len(self.trials) < self.total and not self._exhausted)

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        begun = [trial for trial in begun if self.space.known(trial.params, trial.trial_key, trial.proposal)]
        known = {trial.trial_key: trial for trial in [*begun, *self.space.trials(history.values())]}
        proposed = sorted(known.values(), key=_place)
        for _, trials in itertools.groupby(proposed, key=_place):
            self._take_up(list(trials), history)

    def ask(self) -> Trial | None:
        if not self._waiting and len(self.trials) < self.total and not self._exhausted:
            self._propose()
        return self._waiting.popleft() if self._waiting else None

    def tell(self, trial: Trial, observation: Observation) -> None:
        configuration = self._configurations[trial.config_key]
        configuration.observations[trial.trial_key] = observation
        if configuration.has_ended:
            self._tell(configuration.number, configuration)

    def examples(self) -> Sequence[Params]:
        return self.space.examples()

    def _propose(self) -> None:
        """Have the sampler propose until there is a configuration to run, or nothing new to be had."""
        again: list[tuple[int, str]] = []
        for _ in range(ATTEMPTS):
            number, values = self._proposals.ask()
            try:
                trial = self.space.trial(values, self.space.seeds[0], Proposal(number, tuple(again)))
            except ValueError:
                self._proposals.drop(number)
                continue
            known = self._configurations.get(trial.config_key)
            if known is None:
                self._begin([trial], values, number)
                return
            if not known.has_ended:
                self._proposals.drop(number)
                continue
            self._tell(number, known)
            again.append((number, trial.config_key))
            if len(again) == REPEATS and self.space.has_seed:
                self._try_another_seed(known, tuple(again))
                return
        self._exhausted = all(one.has_ended for one in self._configurations.values())

    def _begin(self, trials: Sequence[Trial], values: Params, number: int) -> Configuration:
        """Take up a configuration, of which these trials are known; each further seed of the file is to run, too."""
        configuration = Configuration(values, number, [])
        self._configurations[trials[0].config_key] = configuration
        first = trials[0].proposal or Proposal(number)
        known = {trial.trial_key: trial for trial in trials}
        for seed in self.space.seeds:
            trial = self.space.trial(values, seed, Proposal(first.number))
            known.setdefault(trial.trial_key, trial)
        for trial in known.values():
            if trial in trials or len(self.trials) < self.total:
                self._add(configuration, trial)
        return configuration

    def _add(self, configuration: Configuration, trial: Trial) -> None:
        configuration.trials.append(trial)
        self.trials.append(trial)
        self._waiting.append(trial)

    def _try_another_seed(self, configuration: Configuration, again: tuple[tuple[int, str], ...]) -> None:
        seed = 1 + max(trial.params["seed"] for trial in configuration.trials)
        configuration.number, _ = self._proposals.ask(configuration.values)
        self._add(configuration, self.space.trial(configuration.values, seed, Proposal(configuration.number, again)))

    def _take_up(self, trials: Sequence[Trial], history: Mapping[str, Record]) -> None:
        """Repeat what was asked and told of a proposal's trials in an earlier launch."""
        proposal = trials[0].proposal or Proposal(-1)
        for number, config_key in proposal.again:
            if (known := self._configurations.get(config_key)) and known.has_ended:
                self._proposals.skip(number)
                self._tell(self._proposals.ask(known.values)[0], known)
        self._proposals.skip(proposal.number)
        values = self.space.proposed(trials[0].params)
        number, _ = self._proposals.ask(values)
        configuration = self._configurations.get(trials[0].config_key)
        if configuration is None:
            configuration = self._begin(trials, values or {}, number)
        else:
            configuration.number = number
            for trial in trials:
                self._add(configuration, trial)
        for trial in trials:
            record = history.get(trial.trial_key)
            observation = Observation.of_record(self.spec.metric, record) if record else None
            if observation is not None:
                self._waiting.remove(trial)
                configuration.observations[trial.trial_key] = observation
        if configuration.has_ended:
            self._tell(number, configuration)

    def _tell(self, number: int, configuration: Configuration) -> None:
        if configuration.results:
            self._proposals.tell(number, configuration.value, configuration.margin)
        else:
            self._proposals.drop(number)


def _place(trial: Trial) -> tuple[int, str]:
    """In the course of the search; what was begun by another method comes first."""
    return (trial.proposal.number if trial.proposal else -1, trial.config_key)
