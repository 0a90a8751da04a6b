"""Optuna's pruners on a study in memory, which has what trials reported by epoch."""

from collections.abc import Container
from dataclasses import dataclass, field

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.events import Event, Finished, Progress, Restarted
from orchestrator.pruners import Pruner, rules
from orchestrator.spec import SweepSpec, pruner_forms
from orchestrator.trial import Outcome, Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)

STATES = {Outcome.COMPLETED: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED}


@dataclass
class _Reported:
    """What a trial has reported that has not ended."""

    curve: dict[int, float] = field(default_factory=dict)  # by epoch
    unjudged: dict[int, float] = field(default_factory=dict)  # the last of these
    run: optuna.trial.Trial | None = None  # in the study, as soon as it has been judged


class StudyPruner(Pruner):
    """Judges trials epoch by epoch, each by what all trials have reported up to then."""

    judges_epochs = True

    def __init__(self, spec: SweepSpec, rule: pruner_forms.PrunerForm) -> None:
        self.spec, self.rule = spec, rule
        self.metric = spec.pruned_by
        self._counting = _Counting()
        self._study = self._new_study(self._counting)
        self._reported: dict[str, _Reported] = {}  # by trial_key
        self._numbers: dict[str, int] = {}  # in the study, of those that have ended; by trial_key

    def take(self, trial: Trial, event: Event) -> None:
        reported = self._reported.setdefault(trial.trial_key, _Reported())
        if isinstance(event, Progress):
            value = event.metrics.get(self.metric.name)
            if value is not None and event.epoch > max(reported.curve, default=0):
                reported.curve[event.epoch] = reported.unjudged[event.epoch] = value
        elif isinstance(event, Restarted):
            reported.curve.clear()
        elif isinstance(event, Finished):
            del self._reported[trial.trial_key]
            number = self._end(reported, event.outcome)
            if number is not None:
                self._numbers[trial.trial_key] = number

    def renew(self, trial: Trial, was: Outcome) -> None:
        if (number := self._numbers.pop(trial.trial_key, None)) is not None:
            self._counting.left_out.add(number)

    def judge(self, trial: Trial) -> str | None:
        reported = self._reported.get(trial.trial_key)
        if reported is None or not reported.unjudged:
            return None
        reported.run = reported.run or self._study.ask()
        is_over = _judged(reported.run, reported.unjudged)
        reported.unjudged.clear()
        epoch = max(reported.curve)
        if not is_over or epoch == trial.params.get("epochs"):  # then there is nothing left to save
            return None
        trials, number = self._study.get_trials(deepcopy=False), reported.run.number
        judged = next(known for known in trials if known.number == number)
        return rules.reason(self.rule, self.metric.name, self._study, judged)

    def _end(self, reported: _Reported, outcome: Outcome) -> int | None:
        """Take in the end of a trial; returns its number in the study, where it comes to stand there."""
        state = STATES.get(outcome, TrialState.FAIL) if reported.curve else TrialState.FAIL
        if reported.run is not None:
            for epoch, value in reported.unjudged.items():
                reported.run.report(value, epoch)
            last = [*reported.curve.values()][-1] if state is TrialState.COMPLETE else None
            self._study.tell(reported.run, last, state)
            return reported.run.number
        if state is TrialState.FAIL:
            return None
        self._study.add_trial(self._ended(reported.curve, state))
        return self._counting.count - 1

    def _ended(self, curve: dict[int, float], state: TrialState) -> FrozenTrial:
        """A trial that ended in an earlier launch, with the records that the pruner would have kept of it."""
        kept = {}
        if rules.keeps_state(self.rule):
            alone = self._new_study(_Counting())
            _judged(alone.ask(), curve)
            kept = dict(alone.trials[0].system_attrs)
        last = [*curve.values()][-1] if state is TrialState.COMPLETE else None
        return create_trial(state=state, value=last, intermediate_values=curve, system_attrs=kept)

    def _new_study(self, storage: InMemoryStorage) -> Study:
        return optuna.create_study(
            storage=storage,
            sampler=RandomSampler(),
            pruner=rules.pruner(self.rule),
            direction=self.metric.goal,
        )


class _Counting(InMemoryStorage):
    """Compares no trial with a trial that exploded or failed later, or with what has run anew."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out: set[int] = set()  # numbers of trials

    @property
    def count(self) -> int:
        """How many trials its only study has."""
        (study,) = self.get_all_studies()
        return len(super().get_all_trials(study._study_id, deepcopy=False))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        lasting = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        found = super().get_all_trials(study_id, deepcopy, lasting if states is None else states)
        return [trial for trial in found if trial.number not in self.left_out] if self.left_out else found


def _judged(run: optuna.trial.Trial, curve: dict[int, float]) -> bool:
    """Whether a trial is to be pruned after the last of these epochs; after the earlier epochs it was not."""
    is_over = False
    for epoch, value in curve.items():
        run.report(value, epoch)
        is_over = run.should_prune()
    return is_over
