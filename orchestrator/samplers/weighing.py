"""Optuna's samplers, wrapped to propose the most valuable of several valid candidates."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from orchestrator.samplers.cube import Array
from orchestrator.trial import Params

CANDIDATES = 128
WIDTHS = 0.15, 0.05, 0.02, 0.007  # of a range: candidates are improved by ever smaller changes
BEST, CHANGES = 8, 16  # candidates that are improved, and changes that are tried of each

Near = Callable[[Params, float], Params]  # a candidate that differs from another by about a width
Weigh = Callable[[Sequence[Params]], Array]  # the values of candidates, in which choices are given by their index


class DrawingTPE(TPESampler):
    """TPE that returns all its draws from the density of good trials, without a choice among them."""

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed=seed, n_ei_candidates=CANDIDATES, **options)
        self._drawn: dict[str, list[float]] = {}

    def draws(self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution]) -> list[dict[str, Any]]:
        """As many draws as candidates; none as long as it has not learned enough."""
        self._drawn = {}
        self.sample_relative(study, trial, space)
        return [
            {name: space[name].to_external_repr(value) for name, value in zip(self._drawn, row, strict=True)}
            for row in zip(*self._drawn.values(), strict=True)
        ]

    def _compute_acquisition_func(self, samples: dict[str, Array], mpe_below: Any, mpe_above: Any) -> Array:
        self._drawn |= {name: values.tolist() for name, values in samples.items()}
        return np.zeros(CANDIDATES)


class WeighingSampler(BaseSampler):
    """Wraps a sampler: proposes the most valuable of its valid candidates.

    Parameters that a candidate lacks are drawn at random.

    Args:
        inner: the wrapped sampler.
        space: the whole search space.
        weigh: returns the values of candidates.
        allows: whether a candidate is a valid combination.
        draw: returns random values for the whole space.
        redraws: how often `inner` is asked, if it returns a single candidate at a time.
        at_random: whether random candidates from the whole space are added, even where `inner` has some.
        near: returns a candidate that differs from another by about a width; with it, the best ones are improved.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: Mapping[str, BaseDistribution],
        weigh: Weigh,
        allows: Callable[[Params], bool],
        draw: Callable[[], Params],
        redraws: int,
        at_random: bool,
        near: Near | None = None,
    ) -> None:
        self.inner, self.space, self.weigh, self.allows, self.draw = inner, dict(space), weigh, allows, draw
        self.redraws, self.at_random, self.near = redraws, at_random, near
        self._inner_space: dict[str, BaseDistribution] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self._inner_space = self.inner.infer_relative_search_space(study, trial)
        return self.space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        own = self._draws(study, trial)
        if self.at_random or not own:  # it may not have learned enough yet
            own += [{}] * CANDIDATES
        candidates: list[Params] = [{**self.draw(), **candidate} for candidate in own]
        values = self.weigh(candidates)
        if self.near is not None:
            for width in WIDTHS:
                candidates, values = self._improved(candidates, values, self.near, width)
        best = next(iter(self._best(candidates, values, 1)), int(values.argmax()))
        return dict(candidates[best])

    def _improved(
        self, candidates: list[Params], values: Array, near: Near, width: float
    ) -> tuple[list[Params], Array]:
        """The best candidates, and others near them."""
        best = self._best(candidates, values, BEST)
        if not best:
            return candidates, values
        others = [near(candidates[i], width) for i in best for _ in range(CHANGES)]
        return [candidates[i] for i in best] + others, np.append(values[best], self.weigh(others))

    def _best(self, candidates: list[Params], values: Array, count: int) -> list[int]:
        """The valid ones that are most valuable."""
        ranked = np.argsort(-values, kind="stable").tolist()
        return list(itertools.islice((i for i in ranked if self.allows(candidates[i])), count))

    def _draws(self, study: Study, trial: FrozenTrial) -> list[dict[str, Any]]:
        if isinstance(self.inner, DrawingTPE):
            return self.inner.draws(study, trial, self._inner_space)
        candidates = (self.inner.sample_relative(study, trial, self._inner_space) for _ in range(self.redraws))
        return [candidate for candidate in candidates if candidate]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self.inner.after_trial(study, trial, state, values)
