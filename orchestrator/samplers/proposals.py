"""Optuna's side of a search: a study in memory, which receives every finished configuration.

Optuna's samplers see an explosion in different ways (docs/search.md has the table): as a violated constraint, and by
how much, or where a sampler has no constraints, as a value no better than the worst so far. From the first explosion
on, samplers that learn propose several candidates, and `feasibility` chooses the most valuable; TPE, our default, does
so from the fourth proposal on at the latest.
"""

import pkgutil
import random
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from orchestrator.samplers import limits, spreading
from orchestrator.samplers.cube import Array, Cube, Position
from orchestrator.samplers.feasibility import SeenConfiguration, Worth
from orchestrator.samplers.limits import Beyond, LearnedLimits
from orchestrator.samplers.typed import TypedSampler, distribution
from orchestrator.samplers.weighing import WeighingSampler
from orchestrator.spec import SweepSpec, Values
from orchestrator.spec.methods import FIRST_LOOKS, OptunaSampler
from orchestrator.trial import Params
from orchestrator.trials.search_space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)

CONSTRAINT = "explosion"  # above 0 where it is violated


def create_sampler(made_by: str, seed: int, options: Mapping[str, Any]) -> BaseSampler:
    """A sampler of Optuna's.

    Args:
        made_by: "module:name" of its class, or of a function.
        seed: of its draws.
        options: its further arguments.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler: BaseSampler = pkgutil.resolve_name(made_by)(seed=seed, **options)
    return sampler


class Proposals:
    """Asks a sampler for configurations and tells it their results.

    A proposal depends on the search's seed, on its own number, and on the results told before it: a study that is told
    the same results in the same order goes on with the same proposals. Where a condition leaves a parameter out,
    samplers that need every parameter in every configuration see the middle of its domain; others do not see it.
    """

    def __init__(self, spec: SweepSpec, space: SearchSpace, sampler: OptunaSampler) -> None:
        self.sampler, self.domains, self.seed, self.objectives = sampler, space.domains, spec.seed, spec.objectives
        self.space = {name: distribution(domain) for name, domain in space.domains.items()}
        self.varies = space.varies
        self._constraints = [constraint.name for constraint in spec.constraints]
        self._is_valid = space.is_valid
        self._middle = {name: self._encoded(name, domain.middle()) for name, domain in space.domains.items()}
        self._stepped = [name for name, domain in space.domains.items() if not domain.is_continuous]
        self._has_conditions = bool(spec.conditions.wanted)
        branching = sampler.branching if self._has_conditions else {}
        self.takes_absent = bool(branching)
        self._options = {**sampler.options, **branching}
        self.weighs = sampler.learns and len(spec.objectives) == 1
        self._chooses_early = self.weighs and sampler.chooses_early
        self._cube = Cube({name: domain for name, domain in space.domains.items() if not self.space[name].single()})
        self._seen: list[SeenConfiguration] = []
        self._stable: list[Position] = []  # of those that have a value, NaN where they do not vary an axis
        self._failed: dict[Position, str] = {}  # why the configurations there failed that have no result
        self._study = optuna.create_study(directions=[objective.goal for objective in spec.objectives])
        self._learned = 0  # configurations of other searches
        self.starts = 0  # configurations that a file begins with: all together they come before the first that spreads
        self._open: dict[int, Trial] = {}
        self._best: Values | None = None  # among configurations that were not pruned; used where there is one objective
        self._worst: Values | None = None
        self._pending: list[tuple[Trial, float]] = []  # bad trials with their margins, until there is a worst value

    @property
    def count(self) -> int:
        """How many proposals there have been; the number of the next."""
        return len(self._study.get_trials(deepcopy=False)) - self._learned

    def ask(self, given: Params | None = None) -> tuple[int, dict[str, Any]]:
        """The next configuration; or `given`, one of an earlier launch, or a part of one.

        Returns:
            Its number, for `tell`, and the values of the domains that are varied in it.
        """
        number = self.count
        is_first_here = number == 0 and not self._learned
        if self._chooses_early and (is_first_here or (given is None and number > 0)):
            spread = self._spread(number)
            given = spread if spread is None else {**spread, **(given or {})}
        sampler = self._made(number) if given is not None else self._proposing(number)
        self._study.sampler = TypedSampler(sampler, self.domains, given, self.sampler.keeps_state)
        trial = self._study.ask()
        self._open[number] = trial
        values: dict[str, Any] = {}
        for name, axis in self.space.items():
            if self.varies(name, values):
                value = self._decoded(name, trial._suggest(name, axis))
                values[name] = value if given is None else given.get(name, value)
            elif not self.takes_absent:
                middle = axis.to_internal_repr(self._middle[name])
                trial.storage.set_trial_param(trial._trial_id, name, middle, axis)
        return number, values

    def learn(
        self, given: Params, values: Values | None, margin: float | None, pruned_at: int | None, beyond: Beyond
    ) -> None:
        """Take in the result of a configuration that is none of this search, before its first proposal.

        It has no number of its own: proposals are numbered without it. The results are as `tell` takes them.
        """
        number, _ = self.ask(given)
        self.tell(number, values, margin, pruned_at, beyond)
        self._learned += 1

    def skip(self, number: int) -> None:
        """Continue with a number, as if the proposals before it had been asked for and dropped."""
        while self.count < number:
            if self.sampler.keeps_state:
                self.drop(self.ask()[0])
            else:
                self._study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))

    def drop(self, number: int, failure: str = "") -> None:
        """Drop a configuration that will have no result.

        Args:
            number: as `ask` returned it.
            failure: why it has failed, the same text where others failed alike.
        """
        self.note_failure(number, failure)
        self._study.tell(self._open.pop(number), state=TrialState.FAIL)

    def note_failure(self, number: int, failure: str) -> None:
        """Know that a configuration has failed; its trials may run again."""
        if failure and self.weighs:
            self._failed[self._position(self._open[number].params)] = failure

    def waits_for(self, number: int) -> bool:
        """Whether a configuration has no result yet."""
        return number in self._open

    def tell(
        self,
        number: int,
        values: Values | None,
        margin: float | None,
        pruned_at: int | None = None,
        beyond: Beyond = MappingProxyType({}),
    ) -> None:
        """Report the result of a configuration.

        Args:
            number: as `ask` returned it.
            values: of the objectives; None where there are none.
            margin: how far it was beyond an explosion, above 0 if it exploded; None if unknown.
            pruned_at: the epoch after which it was pruned, and to which the values belong.
            beyond: how far it was beyond other limits, by name.
        """
        trial = self._open.pop(number)
        exploded = margin is not None and margin > 0
        far = limits.broken(beyond)
        self._remember(trial, values, margin, beyond, pruned_at is not None)
        is_single = len(self.objectives) == 1
        self._tell_constraints(trial, margin, beyond)
        is_bad = exploded or (bool(far) and (values is None or not self.sampler.takes_constraints))
        if is_bad or (pruned_at is not None and not is_single):  # Optuna has no values by epoch of several objectives
            if self.sampler.takes_pruned:
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._pending.append((trial, max(0.0, margin or 0.0, *far)))
        elif values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif pruned_at is not None and self.sampler.takes_pruned:
            trial.report(values[0], pruned_at)
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._tell_values(trial, values, pruned_at is not None)
        if self._worst is not None:
            for bad, distance in self._pending:
                self._study.tell(bad, self._bad_values(self._worst, distance))
            self._pending.clear()

    def _tell_constraints(self, trial: Trial, margin: float | None, beyond: Beyond) -> None:
        """Tell as many as for any other trial: one for whether it can be trained, and each of the file's."""
        if self.sampler.takes_constraints:
            cannot = limits.broken({name: far for name, far in beyond.items() if name not in self._constraints})
            trial.set_constraint(CONSTRAINT, max([*cannot, 0.0 if margin is None else margin]))
            for name in self._constraints:
                trial.set_constraint(f"{CONSTRAINT} {name}", beyond.get(name) or 0.0)

    def _tell_values(self, trial: Trial, values: Values, is_pruned: bool) -> None:
        """Tell the values, and remember the best and the worst; pruned ones are never better than completed ones."""
        if is_pruned:
            values = self._worse(values, self._best)
        elif self._best is None or self._worse(values, self._best) == self._best:
            self._best = values
        self._worst = self._worse(values, self._worst)
        self._study.tell(trial, values)

    def _worse(self, values: Values, reference: Values | None) -> Values:
        pairs = zip(self.objectives, values, reference or values, strict=True)
        return tuple(objective.worst(pair) for objective, *pair in pairs)

    def _decoded(self, name: str, value: Any) -> Any:
        """A value of Optuna as the parameter has it."""
        return self.domains[name].decoded(value)

    def _encoded(self, name: str, value: Any) -> Any:
        """A value of the parameter as Optuna has it."""
        return self.domains[name].encoded(value)

    def _bad_values(self, worst: Values, margin: float) -> Values:
        """For samplers that compare values alone: worse than all others, by the margin."""
        if self.sampler.takes_constraints:
            return worst
        pairs = zip(self.objectives, worst, strict=True)
        return tuple(value - objective.sign * (margin * max(abs(value), 1e-6)) for objective, value in pairs)

    def _proposing(self, number: int) -> BaseSampler:
        """What proposes, after what is known: one that weighs candidates, or a plain one of Optuna's."""
        exploded = any(configuration.exploded for configuration in self._seen)
        is_limited = exploded or limits.are_met(self._cube, self._all_seen)
        early = self._chooses_early and number + self._learned >= FIRST_LOOKS and bool(self._seen)
        return self._weighing(number) if early or (self.weighs and is_limited) else self._made(number)

    def _spread(self, number: int) -> Params | None:
        """What is proposed whatever is known: the middle, then points that are even along each axis; or nothing."""
        if number == 0:
            return {name: domain.middle() for name, domain in self.domains.items()}
        index = spreading.index_of(number - max(0, self.starts - 1))
        if index is None or not self._cube.axes:
            return None
        running = (trial.params for trial in self._open.values())
        tried = [*self._stable, *(self._cube.only(self._varied(params), self._position(params)) for params in running)]
        point = spreading.spread(self._cube, self.seed, index, np.array(tried))
        return {name: self._decoded(name, value) for name, value in {**self._middle, **point}.items()}

    def _made(self, number: int, by: str = "") -> BaseSampler:
        return create_sampler(by or self.sampler.made_by, self._seed(number), self._options)

    def _weighing(self, number: int) -> BaseSampler:
        running = [self._position(trial.params) for trial in self._open.values()]
        worth, others = Worth(self._cube, self._seen, running), LearnedLimits(self._cube, self._all_seen, running)
        rng = random.Random(f"{self.seed}:{number}")  # noqa: S311

        def weigh(candidates: Sequence[Params]) -> Array:
            at = np.array([self._position(candidate) for candidate in candidates])
            return worth.of(at, others.kept(at))

        def draw() -> Params:
            return {name: self._encoded(name, domain.draw(rng)) for name, domain in self.domains.items()}

        def allows(candidate: Params) -> bool:
            return self._is_valid(self._values(candidate))

        def near(candidate: Params, width: float) -> Params:
            position = self._cube.near(self._cube.position(candidate), width, rng)
            return {**candidate, **self._cube.values(position)}

        inner = self._made(number, self.sampler.candidates_by)
        sampler = self.sampler
        improve = near if sampler.improves and self._cube.axes else None
        return WeighingSampler(
            inner, self.space, weigh, allows, draw, sampler.redraws, at_random=sampler.chooses_early, near=improve
        )

    @property
    def _all_seen(self) -> list[SeenConfiguration]:
        """The results, and what has failed."""
        failed = self._failed.items()
        named = [(at, {f"{limits.FAILURE}{why}": None}) for at, why in failed]
        return [*self._seen, *(SeenConfiguration(at, None, None, why, is_trained=False) for at, why in named)]

    def _remember(
        self, trial: Trial, values: Values | None, margin: float | None, beyond: Beyond, is_pruned: bool
    ) -> None:
        """Keep a result for the weighing; pruned trials are never better than completed ones."""
        if not self.weighs:
            return
        at = self._position(trial.params)
        self._failed.pop(at, None)
        exploded = margin is not None and margin > 0
        if exploded or limits.broken(beyond):
            is_trained = exploded or values is not None
            self._seen.append(SeenConfiguration(at, None, margin, beyond, is_trained=is_trained))
        elif values is not None:
            (value,) = self._worse(values, self._best) if is_pruned else values
            self._seen.append(SeenConfiguration(at, self.objectives[0].sign * value, margin, beyond))
            self._stable.append(self._cube.only(self._varied(trial.params), at))

    def _position(self, encoded: Params) -> Position:
        """The position of a configuration, on its steps; parameters that are not varied in it have their middle."""
        varied = self._varied(encoded)
        stepped = {name: self._on_its_step(name, encoded[name]) for name in self._stepped if name in varied}
        return self._cube.position({**self._middle, **{name: encoded[name] for name in varied}, **stepped})

    def _varied(self, encoded: Params) -> Params:
        """The parameters that are varied in a configuration."""
        return self._values(encoded) if self._has_conditions else encoded

    def _on_its_step(self, name: str, value: Any) -> Any:
        return self._encoded(name, self._decoded(name, value))

    def _values(self, encoded: Params) -> Params:
        """The values of the parameters that are varied in a configuration."""
        values: dict[str, Any] = {}
        for name in self.space:
            if self.varies(name, values):
                values[name] = self._decoded(name, encoded[name])
        return values

    def _seed(self, number: int) -> int:
        entropy = (self.seed,) if self.sampler.keeps_seed else (self.seed, number)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])
