"""A search: configurations that an Optuna sampler proposes, each run once for every seed."""

import itertools
import random
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from orchestrator.comparison.configuration import Configuration
from orchestrator.errors import InputError
from orchestrator.samplers.prior import NOTHING, Heights, Prior, PriorConfiguration
from orchestrator.samplers.proposals import Proposals
from orchestrator.samplers.proposed import ProposedConfiguration
from orchestrator.spec import SweepSpec, Values
from orchestrator.spec.methods import OptunaSampler
from orchestrator.trial import Outcome, Params, Proposal, Trial
from orchestrator.trials.labels import Labels, listed
from orchestrator.trials.observation import Observation, failure
from orchestrator.trials.record import Record, by_end
from orchestrator.trials.search_space import BegunTrial, SearchSpace, order
from orchestrator.trials.starts import Starts
from orchestrator.trials.worst import WorstSoFar

REPEATS = 5  # in a row of configurations that have run: then only another seed gives the sampler information
INVALID = 50  # invalid combinations in a row: then values are drawn at random
DRAWS = 10_000


class SearchSampler:
    """Proposes what an Optuna sampler expects to be best, given the results so far."""

    learns = True

    def __init__(self, spec: SweepSpec, optuna_sampler: OptunaSampler, prior: Prior = NOTHING) -> None:
        self.spec, self._optuna_sampler, self._prior = spec, optuna_sampler, prior
        self.total = spec.proposal_cap
        self.space = SearchSpace(spec)
        self.trials: list[Trial] = []
        self._heights = Heights.of(self.space, self._good_priors())
        self._proposals = self._informed()
        self._configurations: dict[str, ProposedConfiguration] = {}  # by their keys in the space
        self._waiting: deque[Trial] = deque()
        self._starts = Starts.of(self.space)
        self._starts.add(self._heights.starts)
        self._labels = Labels(spec)
        self._worst = WorstSoFar(spec.objectives)
        self._known: dict[str, tuple[Observation, Values | None]] = {}  # of earlier launches, by trial_key
        self._has_further_seeds = self.space.has_further_seeds and spec.replicates is None
        self._again: deque[Trial] = deque()  # failed in an earlier launch: each is asked for after a new proposal
        self._is_again_next = False
        self._failed: dict[str, str] = {}  # why these failed, by trial_key
        self._waits_for_result = False  # all configurations that the sampler proposes are running
        self._exhausted = False

    @property
    def remark(self) -> str:
        return "" if self._room > 0 else self._starts.without_room(0)

    @property
    def has_more(self) -> bool:
        return bool(self._waiting or self._again) or (self._room > 0 and not self._exhausted)

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        starts = self.space.begun(history, begun)
        keys = {start.trial.trial_key for start in starts}
        if self.total is not None:
            self.total = max(self.total, len(starts))
        known = [history[start.trial.trial_key] for start in starts if start.trial.trial_key in history]
        for record in sorted(known, key=by_end):
            if observation := Observation.of_record(self.spec.objectives, record, self.spec.constraints):
                self._known[record.trial_key] = self._worst.take(observation), self._worst.completed
        failed = [record for record in known if record.outcome is Outcome.FAILED and not record.is_deleted]
        self._failed = {record.trial_key: failure(record.remark) for record in failed}
        room = self._room - len(starts)
        for _, group in itertools.groupby(starts, key=order):
            room -= self._take_up(list(group), keys, room)

    def ask(self) -> Trial | None:
        if self._again and self._is_again_next:
            self._is_again_next = False
            return self._ask_again()
        if not self._waiting and self._room > 0 and not (self._exhausted or self._waits_for_result):
            self._propose()
        self._is_again_next = True
        if self._waiting:
            return self._waiting.popleft()
        return self._ask_again() if self._again else None

    def _ask_again(self) -> Trial:
        """One that failed in an earlier launch."""
        trial = self._again.popleft()
        self._configurations[self.space.key(trial)].ended.discard(trial.trial_key)
        return trial

    def tell(self, trial: Trial, observation: Observation) -> None:
        self._waits_for_result = False
        configuration = self._configurations[self.space.key(trial)]
        configuration.take(trial, self._worst.take(observation), self._worst.completed)
        if configuration.has_ended and self._proposals.waits_for(configuration.number):
            self._tell(configuration.number, configuration)
        elif configuration.has_ended:  # a seed of it had failed in an earlier launch
            self._learn_anew()

    def again(self, trial: Trial) -> None:
        configuration = self._configurations[self.space.key(trial)]
        configuration.leave(trial)
        self._waiting.append(trial)
        self._learn_anew()

    def examples(self) -> Sequence[Params]:
        return self.space.examples()

    @property
    def _room(self) -> int:
        """How many further trials there may be."""
        return sys.maxsize if self.total is None else self.total - len(self.trials)

    def _good_priors(self) -> Iterator[tuple[PriorConfiguration, Values]]:
        """What has completed of the prior, and its values; of what breaks a constraint, where its kind has no other."""
        found = [(one, _known(one)) for one in self._prior.configurations]
        keep_to = {one.elsewhere for one, known in found if not one.seeds.broken and _is_good(known)}
        for one, known in found:
            values = known.expected(self.spec.objectives, self.spec.survivors)
            is_left_out = bool(one.seeds.broken) and one.elsewhere in keep_to
            if values is not None and _is_good(known) and not is_left_out:
                yield one, values

    def _informed(self) -> Proposals:
        """A sampler that has learned from the prior alone."""
        proposals = Proposals(self.spec, self.space, self._optuna_sampler)
        for one in filter(lambda one: self._heights.counts(one.elsewhere), self._prior.configurations):
            known = _known(one)
            values = self._heights.here(one.elsewhere, known.expected(self.spec.objectives, self.spec.survivors))
            proposals.learn(one.values, values, known.margin, known.pruned_at, known.beyond)
        return proposals

    def _learn_anew(self) -> None:
        """Begin with the prior once more, by what is known now, and repeat all asks and tells."""
        before, self._proposals = self._proposals, self._informed()
        for configuration in sorted(self._configurations.values(), key=lambda one: one.number):
            self._proposals.skip(configuration.number)
            self._proposals.ask(configuration.values)
            if configuration.has_ended:
                self._report(configuration.number, configuration)
            elif not configuration.seeds.results:
                self._proposals.note_failure(configuration.number, configuration.failure)
        self._proposals.skip(before.count)
        self._proposals.starts = before.starts

    def _propose(self) -> None:
        """Begin the configuration that is next: one to start with, or what the sampler proposes."""
        if (start := self._starts.next) is None:
            self._propose_new()
        else:
            self._begin_with(start)

    def _begin_with(self, start: Params) -> None:
        """Begin a configuration that has these values; the sampler proposes the others."""
        for attempt in range(INVALID + 1):
            drawn = None if attempt < INVALID else self._draw(start)
            if attempt == INVALID and drawn is None:
                break
            number, values = self._proposals.ask(drawn or start)
            try:
                trial = self.space.trial(values, self.space.seeds[0], Proposal(number))
            except ValueError:
                self._proposals.drop(number)
                continue
            self._add_seeds(self._begin(values, number, [trial]), set(), self._room)
            return
        values = self.space.values(start)
        raise InputError(
            self.spec.source.mistake(("start_with",), f"nothing valid was found with {listed(values, values)}")
        )

    def _propose_new(self) -> None:
        """Ask the sampler until it proposes a configuration to run, or only repeats itself."""
        again: list[tuple[int, str]] = []
        repeats = invalid = 0
        while repeats < REPEATS:
            if invalid < INVALID:
                number, values = self._proposals.ask()
            elif drawn := self._draw():
                number, values = self._proposals.ask(drawn)
            else:
                break
            try:
                trial = self.space.trial(values, self.space.seeds[0], Proposal(number, tuple(again)))
            except ValueError:
                self._proposals.drop(number)
                invalid += 1
                continue
            repeated = self._configurations.get(self.space.key(trial))
            if repeated is None:
                configuration = self._begin(values, number, [trial])
                self._add_seeds(configuration, set(), self._room)
                return
            repeats += 1
            if repeated.has_ended:
                self._tell(number, repeated)
                again.append((number, self.space.key(trial)))
            else:
                self._proposals.drop(number)
            if repeats == REPEATS and self._has_further_seeds and self._try_another_seed(repeated, tuple(again)):
                return
        runs = any(not configuration.has_ended for configuration in self._configurations.values())
        self._waits_for_result, self._exhausted = runs, not runs

    def _draw(self, given: Params | None = None) -> Params | None:
        """Valid values, drawn at random, but for the given ones, where the sampler finds none."""
        rng = random.Random(f"{self.spec.seed}:{self._proposals.count}")  # noqa: S311
        for _ in range(DRAWS):
            values = {name: domain.draw(rng) for name, domain in self.space.domains.items()} | dict(given or {})
            with suppress(ValueError):
                trial = self.space.trial(values, self.space.seeds[0], Proposal(-1))
                if self.space.key(trial) not in self._configurations:
                    return values
        return None

    def _begin(self, values: Params, number: int, trials: Sequence[Trial]) -> ProposedConfiguration:
        key = self.space.key(trials[0])
        configuration = ProposedConfiguration(values, number, Configuration(key, trials[0].params))
        self._configurations[key] = configuration
        if self._starts.take(trials[0].params):
            self._proposals.starts += 1
        for trial in trials:
            self._add(configuration, trial)
        return configuration

    def _add(self, configuration: ProposedConfiguration, trial: Trial) -> None:
        trial = self._labels.apart(trial)
        configuration.trials.append(trial)
        self.trials.append(trial)
        self._waiting.append(trial)

    def _add_seeds(self, configuration: ProposedConfiguration, elsewhere: Collection[str], room: int) -> int:
        """Add a trial for each missing seed of the file, as far as there is room; returns how many were added."""
        proposal = configuration.trials[0].proposal or Proposal(configuration.number)
        begun = {*elsewhere, *(trial.trial_key for trial in configuration.trials)}
        trials = [self.space.trial(configuration.values, seed, proposal) for seed in self.space.seeds]
        missing = [trial for trial in trials if trial.trial_key not in begun][:room]
        for trial in missing:
            self._add(configuration, trial)
        return len(missing)

    def _try_another_seed(self, configuration: ProposedConfiguration, again: tuple[tuple[int, str], ...]) -> bool:
        """Run a configuration with one more seed; the sampler gets its mean when all have ended."""
        seed = 1 + max(trial.params["seed"] for trial in configuration.trials)
        number = self._proposals.count if configuration.has_ended else configuration.number
        try:
            trial = self.space.trial(configuration.values, seed, Proposal(number, again, another_seed=True))
        except ValueError:  # beyond the range of seeds
            self._has_further_seeds = False
            return False
        if configuration.has_ended:
            configuration.number, _ = self._proposals.ask(configuration.values)
        self._add(configuration, trial)
        return True

    def _take_up(self, group: Sequence[BegunTrial], elsewhere: Collection[str], room: int) -> int:
        """Repeat the asks and tells of a proposal in an earlier launch; returns how many further trials it needs."""
        proposals = [start.trial.proposal or Proposal(-1) for start in group]
        for number, config_key in max(proposals, key=lambda proposal: len(proposal.again)).again:
            if (repeated := self._configurations.get(config_key)) and repeated.has_ended:
                self._proposals.skip(number)
                self._tell(self._proposals.ask(repeated.values)[0], repeated)
        self._proposals.skip(proposals[0].number)
        number, _ = self._proposals.ask(group[0].values)
        trials, added = [start.trial for start in group], 0
        configuration = self._configurations.get(self.space.key(trials[0]))
        if configuration is None:
            configuration = self._begin(group[0].values, number, trials)
            added = self._add_seeds(configuration, elsewhere, room)
        else:
            configuration.number = number
            for trial in trials:
                self._add(configuration, trial)
        begun = {trial.trial_key for trial in trials}
        for trial in [own for own in configuration.trials if own.trial_key in begun]:
            if known := self._known.get(trial.trial_key):
                self._waiting.remove(trial)
                configuration.take(trial, *known)
            elif trial.trial_key in self._failed:
                self._waiting.remove(trial)
                self._again.append(trial)
                configuration.failure = self._failed[trial.trial_key]
                configuration.ended.add(trial.trial_key)
        if configuration.has_ended and configuration.seeds.results:
            self._tell(number, configuration)
        elif not configuration.seeds.results:
            self._proposals.note_failure(number, configuration.failure)
        return added

    def _tell(self, number: int, configuration: ProposedConfiguration) -> None:
        self._report(number, configuration)
        if not configuration.seeds.results:  # it has failed, and will be tried again
            return
        expected = configuration.expected(self.spec.objectives, self.spec.survivors)
        values = None if configuration.is_bad else expected
        if self._heights.take(configuration.seeds.params, values):
            self._learn_anew()

    def _report(self, number: int, configuration: ProposedConfiguration) -> None:
        if configuration.seeds.results:
            expected = configuration.expected(self.spec.objectives, self.spec.survivors)
            margin, pruned_at = configuration.margin, configuration.pruned_at
            self._proposals.tell(number, expected, margin, pruned_at, configuration.beyond)
        else:
            self._proposals.drop(number, configuration.failure)


def _known(one: PriorConfiguration) -> ProposedConfiguration:
    """A configuration of the prior, as if this search had proposed it."""
    return ProposedConfiguration(one.values, -1, one.seeds, known=[] if one.worst is None else [one.worst])


def _is_good(known: ProposedConfiguration) -> bool:
    """Whether it has completed, and not beyond an explosion or what can be trained."""
    return bool(known.seeds.values) and not known.is_bad
