"""The importance of each parameter of a sweep for its metric."""

import math
import random
import warnings
from collections.abc import Iterable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial

from orchestrator.samplers.dashboard import axes, study
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Choice
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

FEWEST = 10  # completed trials; with fewer, a forest has no information
WIDE = 50  # the greatest of listed numbers by the least: from there on they are a matter of decades
MOST = 500  # trials for the forest, drawn by chance, as every n-th of a grid would leave values out
TREES = 32  # of the forest; with 64 the shares differ by less than a hundredth


def importances(spec: SweepSpec, records: Iterable[Record]) -> dict[str, float]:
    """The share of each parameter in the metric's variance over its range, the largest first, by functional ANOVA.

    Over the trials that completed, or 500 of them (F. Hutter et al., ICML 2014, as Optuna implements it). Optuna takes
    ranges as linear, so it gets logarithmic ones, and listed numbers of several decades, as logarithms; and as it needs
    a value of every trial, parameters that are not varied in all of them are left out. Empty where that leaves a single
    parameter, too few trials completed, or there are several objectives.
    """
    if len(spec.objectives) > 1:
        return {}
    of_completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    if len(of_completed) > MOST:
        of_completed = random.Random(0).sample(of_completed, MOST)  # noqa: S311
    completed = study(spec, of_completed).get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    known = {name: axis for name, axis in axes(spec).items() if all(name in trial.params for trial in completed)}
    searched = {name: _scaled(axis) if _is_listed(spec, name) else axis for name, axis in known.items()}
    if len(searched) < 2 or len({trial.value for trial in completed}) < FEWEST:
        return {}
    even = optuna.create_study(direction=spec.objectives[0].goal)
    distributions = {name: _linear(axis) for name, axis in searched.items()}
    for trial in completed:
        params = {name: _position(axis, trial.params[name]) for name, axis in searched.items()}
        even.add_trial(create_trial(params=params, distributions=distributions, value=trial.value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a parameter that the trials had at a single value
        shares = get_param_importances(even, evaluator=FanovaImportanceEvaluator(n_trees=TREES, seed=0))
    return {name: float(share) for name, share in shares.items()}


def _is_listed(spec: SweepSpec, name: str) -> bool:
    return name not in spec.domains or isinstance(spec.domains[name], Choice)


def _scaled(axis: BaseDistribution) -> BaseDistribution:
    """The axis of listed numbers, logarithmic where they are of several decades."""
    if isinstance(axis, FloatDistribution) and axis.low > 0 and axis.high >= WIDE * axis.low:
        return FloatDistribution(axis.low, axis.high, log=True)
    return axis


def _linear(axis: BaseDistribution) -> BaseDistribution:
    if isinstance(axis, FloatDistribution) and axis.log:
        return FloatDistribution(math.log(axis.low), math.log(axis.high))
    return axis


def _position(axis: BaseDistribution, value: Any) -> Any:
    if isinstance(axis, FloatDistribution) and axis.log:
        return min(max(math.log(value), math.log(axis.low)), math.log(axis.high))
    return value
