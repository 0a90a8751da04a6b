"""How much each parameter of a search matters to its metric."""

import warnings
from collections.abc import Iterable

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from orchestrator.record import Record
from orchestrator.samplers.dashboard import Mirror, axes
from orchestrator.spec import SweepSpec

FEWEST = 10  # completed trials; of fewer a forest tells nothing


def importances(spec: SweepSpec, records: Iterable[Record]) -> dict[str, float]:
    """The share of each parameter in the metric's variance over its range, the largest first, by functional ANOVA.

    Of the trials that completed (F. Hutter et al., ICML 2014, as Optuna has it). Empty where a single parameter is
    searched, or too few have completed.
    """
    mirror = Mirror(spec)
    mirror.show(records)
    study = optuna.load_study(study_name=spec.name, storage=mirror.storage)
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(axes(spec)) < 2 or len({trial.value for trial in completed}) < FEWEST:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a parameter that the trials had at a single value
        return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))
