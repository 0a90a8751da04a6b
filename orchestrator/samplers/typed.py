"""Values of a sampler of Optuna's, with the types and steps that parameters have."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from orchestrator.spec.domains import Choice, Domain, Range
from orchestrator.trial import Params


class TypedSampler(BaseSampler):
    """Wraps a sampler: each value has the type and step of its parameter, or is given."""

    def __init__(
        self, inner: BaseSampler, domains: Mapping[str, Domain], given: Params | None, keeps_state: bool
    ) -> None:
        self.inner, self.domains, self.given, self.keeps_state = inner, domains, given, keeps_state

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self.given is not None and not self.keeps_state:
            return {}
        proposed = self.inner.sample_relative(study, trial, search_space)
        return {name: self._value(name, value) for name, value in proposed.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self.given is not None and param_name in self.given:
            return self._value(param_name, None)
        return self._value(param_name, self.inner.sample_independent(study, trial, param_name, param_distribution))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self.inner.after_trial(study, trial, state, values)

    def _value(self, name: str, value: Any) -> Any:
        domain = self.domains[name]
        given = self.given or {}
        return domain.encoded(given[name] if name in given else domain.decoded(value))


def distribution(domain: Domain) -> BaseDistribution:
    """A domain as Optuna's distribution; choices by their index, since to Optuna 1, 1.0 and True are the same."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(range(len(domain.values)))
    if isinstance(domain, Range) and domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    # the domain itself rounds to multiples of its q
    return FloatDistribution(domain.low, domain.high, log=domain.log)
