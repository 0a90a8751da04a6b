"""Which trial comes next: ask, tell, replay."""

import importlib.util
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from orchestrator.errors import InputError
from orchestrator.samplers.prior import NOTHING, Prior
from orchestrator.samplers.replicates import ReplicatingSampler
from orchestrator.spec import SweepSpec
from orchestrator.spec.methods import OptunaSampler
from orchestrator.trial import Params, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record


class Sampler(Protocol):
    """Proposes the trials of a sweep."""

    learns: bool  # whether it needs the results of trials

    @property
    def total(self) -> int | None:
        """How many trials there will be, over all launches; None where they go on until the sweep is stopped."""

    @property
    def remark(self) -> str:
        """What else there is to say of how many trials there are, in a line; or nothing."""

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials so far, in the order in which they were proposed."""

    @property
    def has_more(self) -> bool:
        """Whether `ask` may return a trial, now or after the running trials have ended."""

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        """Take in the records of the sweep, by trial_key, and trials that were begun and may not be in the store.

        Trials with a result are not returned again; those without come first.
        """

    def ask(self) -> Trial | None:
        """The next trial, or None if there is none now."""

    def tell(self, trial: Trial, observation: Observation) -> None:
        """Report the result of a trial."""

    def again(self, trial: Trial) -> None:
        """Return a trial once more that has ended. What was told of it counts no longer."""

    def examples(self) -> Sequence[Params]:
        """Configurations whose data must be available before the first trial starts."""


def of(spec: SweepSpec, prior: Prior = NOTHING) -> Sampler:
    """The sampler that a sweep's method names, which has learned from `prior` where it can learn.

    Raises:
        InputError: combinations are invalid, or there are none, or the method needs a package that is not installed.
    """
    sampler = _of_method(spec, prior)
    return sampler if spec.replicates is None else ReplicatingSampler(spec, sampler, spec.replicates)


def _of_method(spec: SweepSpec, prior: Prior) -> Sampler:
    named = spec.method.sampler
    if isinstance(named, OptunaSampler):
        if named.needs and importlib.util.find_spec(named.needs) is None:
            problem = f"{spec.method.name} needs {named.needs}: pip install {named.needs}"
            raise InputError(spec.source.mistake(("method",), problem))
        from orchestrator.samplers.search import SearchSampler  # optuna takes a while to import

        return SearchSampler(spec, named, prior)
    sampler: Sampler = pkgutil.resolve_name(named)(spec)
    return sampler
