"""Optuna's pruners on a study in memory, which holds what trials have told by epoch."""

from collections.abc import Container
from dataclasses import dataclass, field

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.errors import InputError
from orchestrator.events import Event, Finished, Progress
from orchestrator.pruners import Pruner, rules
from orchestrator.spec import SweepSpec, form, nearest
from orchestrator.trial import Outcome, Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)

STATES = {Outcome.COMPLETED: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED}


@dataclass
class _Told:
    """What a trial has told that has not ended."""

    curve: dict[int, float] = field(default_factory=dict)  # by epoch
    unjudged: dict[int, float] = field(default_factory=dict)  # of these, the last
    run: optuna.trial.Trial | None = None  # in the study, as soon as it has been judged


class StudyPruner(Pruner):
    """Judges trials epoch by epoch, each by what it and the others have told up to then."""

    judges_epochs = True

    def __init__(self, spec: SweepSpec, rule: form.PrunerForm) -> None:
        self.spec, self.rule = spec, rule
        self.metric = spec.pruned_by
        self._study = self._new_study()
        self._told: dict[str, _Told] = {}  # by trial_key
        self._names: dict[str, None] = {}  # of all metrics by epoch

    def take(self, trial: Trial, event: Event) -> None:
        told = self._told.setdefault(trial.trial_key, _Told())
        if isinstance(event, Progress):
            self._names |= dict.fromkeys(event.metrics)
            value = event.metrics.get(self.metric.name)
            if value is not None and event.epoch > max(told.curve, default=0):
                told.curve[event.epoch] = told.unjudged[event.epoch] = value
        elif isinstance(event, Finished):
            del self._told[trial.trial_key]
            self._end(trial, told, event.outcome)

    def judge(self, trial: Trial) -> str | None:
        told = self._told.get(trial.trial_key)
        if told is None or not told.unjudged:
            return None
        told.run = told.run or self._study.ask()
        is_over = _judged(told.run, told.unjudged)
        told.unjudged.clear()
        epoch = max(told.curve)
        if not is_over or epoch == trial.params.get("epochs"):  # then there is nothing left to save
            return None
        here = next(one for one in self._study.get_trials(deepcopy=False) if one.number == told.run.number)
        return rules.why(self.rule, self.metric.name, self._study, here)

    def _end(self, trial: Trial, told: _Told, outcome: Outcome) -> None:
        if outcome is Outcome.COMPLETED and not told.curve:
            what = f"{trial.label} has told no {self.metric.name} by epoch; {nearest(self.metric.name, [*self._names])}"
            raise InputError(self.spec.source.mistake(("early_terminate", "metric", "name"), what))
        state = STATES.get(outcome, TrialState.FAIL)
        if told.run is not None:
            for epoch, value in told.unjudged.items():
                told.run.report(value, epoch)
            self._study.tell(told.run, [*told.curve.values()][-1] if state is TrialState.COMPLETE else None, state)
        elif state is not TrialState.FAIL:
            self._study.add_trial(self._ended(told.curve, state))

    def _ended(self, curve: dict[int, float], state: TrialState) -> FrozenTrial:
        """A trial that ended in an earlier launch, with what the pruner would have kept of it."""
        kept = {}
        if rules.keeps_state(self.rule):
            alone = self._new_study()
            _judged(alone.ask(), curve)
            kept = dict(alone.trials[0].system_attrs)
        last = [*curve.values()][-1] if state is TrialState.COMPLETE else None
        return create_trial(state=state, value=last, intermediate_values=curve, system_attrs=kept)

    def _new_study(self) -> Study:
        return optuna.create_study(
            storage=_WithoutFailures(),
            sampler=RandomSampler(),
            pruner=rules.pruner(self.rule),
            direction=self.metric.goal,
        )


class _WithoutFailures(InMemoryStorage):
    """Has no trial be held against one that exploded or failed later."""

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        lasting = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        return super().get_all_trials(study_id, deepcopy, lasting if states is None else states)


def _judged(run: optuna.trial.Trial, curve: dict[int, float]) -> bool:
    """Whether a trial is to be pruned after the last of these epochs; after those before, it was not."""
    is_over = False
    for epoch, value in curve.items():
        run.report(value, epoch)
        is_over = run.should_prune()
    return is_over
