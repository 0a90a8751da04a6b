"""Optuna's samplers, made to propose, of several candidates of theirs, the one that is worth most."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from orchestrator.samplers.feasibility import Array
from orchestrator.trial import Params

CANDIDATES = 128
REDRAWS = 16  # of a sampler that takes its time for each

Weigh = Callable[[Sequence[Params]], Array]  # what candidates are worth, choices being given by their index


class WeighingTPE(TPESampler):
    """TPE whose candidates come from the density of good trials, as ever, but are weighed by another measure."""

    def __init__(self, seed: int, weigh: Weigh) -> None:
        super().__init__(seed=seed, multivariate=True, constant_liar=True, n_ei_candidates=CANDIDATES)
        self.weigh = weigh

    def _compute_acquisition_func(self, samples: dict[str, Array], mpe_below: Any, mpe_above: Any) -> Array:
        rows = zip(*(values.tolist() for values in samples.values()), strict=True)
        return self.weigh([dict(zip(samples, row, strict=True)) for row in rows])


class Weighing(BaseSampler):
    """Another sampler, with a choice of what is left to chance: random draws, and its own where it draws again.

    Args:
        inner: the other sampler.
        space: all that is searched.
        weigh: says what candidates are worth.
        draw: gives values for the whole space, at random.
        redraws: whether `inner` proposes something else each time that it is asked.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: Mapping[str, BaseDistribution],
        weigh: Weigh,
        draw: Callable[[], Params],
        *,
        redraws: bool,
    ) -> None:
        self.inner, self.space, self.weigh, self.draw, self.redraws = inner, dict(space), weigh, draw, redraws
        self._inner_space: dict[str, BaseDistribution] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self._inner_space = self.inner.infer_relative_search_space(study, trial)
        return self.space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        proposed = self.inner.sample_relative(study, trial, self._inner_space)
        if proposed and not self.redraws:
            return proposed
        own = [proposed]
        if proposed:
            own += [self.inner.sample_relative(study, trial, self._inner_space) for _ in range(REDRAWS - 1)]
        else:  # it has not learned enough yet
            own *= CANDIDATES
        candidates = [{**self.draw(), **one} for one in own]
        return candidates[int(np.argmax(self.weigh(candidates)))]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self.inner.after_trial(study, trial, state, values)
