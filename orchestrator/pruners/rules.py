"""Optuna's pruners from a sweep file, and the reasons for their verdicts, which Optuna does not give."""

import warnings

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from orchestrator.pruners.hyperband import HyperbandPruner
from orchestrator.spec import pruner_forms
from orchestrator.system.figures import compared


def pruner(rule: pruner_forms.PrunerForm) -> BasePruner:
    """Optuna's pruner of a file's `early_terminate`; steps are epochs, from 1 on, or seeds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _pruner(rule)


def _pruner(rule: pruner_forms.PrunerForm) -> BasePruner:
    match rule:
        case pruner_forms.Hyperband():
            return HyperbandPruner(rule.brackets, rule.eta, rule.strict)
        case pruner_forms.Median():
            return MedianPruner(
                rule.n_startup_trials, rule.n_warmup_steps, rule.interval_steps, n_min_trials=rule.n_min_trials
            )
        case pruner_forms.Percentile():
            return PercentilePruner(
                rule.percentile,
                rule.n_startup_trials,
                rule.n_warmup_steps,
                rule.interval_steps,
                n_min_trials=rule.n_min_trials,
            )
        case pruner_forms.SuccessiveHalving():
            return SuccessiveHalvingPruner(
                rule.min_resource, rule.reduction_factor, rule.min_early_stopping_rate, rule.bootstrap_count
            )
        case pruner_forms.Patient():
            wrapped = _pruner(rule.wrapped_pruner) if rule.wrapped_pruner else None
            return PatientPruner(wrapped, rule.patience, rule.min_delta)
        case pruner_forms.Wilcoxon():
            return WilcoxonPruner(p_threshold=rule.p_threshold, n_startup_steps=rule.n_startup_steps)
    raise TypeError(rule.type)


def keeps_state(rule: pruner_forms.PrunerForm) -> bool:
    """Whether Optuna's pruner keeps its own records of each trial in the study."""
    return isinstance(rule, pruner_forms.SuccessiveHalving) or (
        isinstance(rule, pruner_forms.Patient) and isinstance(rule.wrapped_pruner, pruner_forms.SuccessiveHalving)
    )


def reason(rule: pruner_forms.PrunerForm, metric: str, study: Study, trial: FrozenTrial) -> str:
    """Why a trial was pruned: its value, and the value that this was compared with."""
    curve, epoch = trial.intermediate_values, trial.last_step
    better, worse = (max, "below") if study.direction is StudyDirection.MAXIMIZE else (min, "above")
    best, last = better(curve.values()), curve[epoch or 0]
    match rule:
        case pruner_forms.Hyperband():
            judge = HyperbandPruner(rule.brackets, rule.eta, rule.strict)
            bound, count = judge.threshold(study, trial)
            value, other = compared(last if rule.strict else best, bound)
            when = "at" if rule.strict else "by"
            text = (
                f"{metric} {value} {when} epoch {epoch} is {worse} {other}, the best 1/{rule.eta:g} of {count} trials"
            )
        case pruner_forms.Median() | pruner_forms.Percentile():
            share = rule.percentile if isinstance(rule, pruner_forms.Percentile) else 50.0
            bound, count = _percentile(study, epoch or 0, share)
            name = f"the best {share:g}%" if isinstance(rule, pruner_forms.Percentile) else "the median"
            value, other = compared(best, bound)
            text = f"{metric} {value} by epoch {epoch} is {worse} {other}, {name} of {count} trials"
        case pruner_forms.SuccessiveHalving():
            judged = f"{metric} {last:.5g} at epoch {epoch}"
            text = f"{judged} is not among the best 1/{rule.reduction_factor} of the trials that reached it"
        case pruner_forms.Patient():
            since = next(step for step, value in curve.items() if value == best)
            text = f"{metric} has not improved on {best:.5g} since epoch {since}"
            if rule.wrapped_pruner:
                text += f"; {reason(rule.wrapped_pruner, metric, study, trial)}"
        case _:
            raise TypeError(rule.type)
    return f"{rule.type}: {text}"


def _percentile(study: Study, epoch: int, share: float) -> tuple[float, int]:
    """What the best `share` percent of the completed trials have at an epoch, and how many have reached it."""
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = [trial.intermediate_values[epoch] for trial in completed if epoch in trial.intermediate_values]
    kept = 100 - share if study.direction is StudyDirection.MAXIMIZE else share
    return float(np.percentile(values, kept)), len(values)
