"""Configurations over their seeds: a configuration that is worse than the best on the same seeds gets no more."""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import create_trial

from orchestrator.events import Event, Finished, Progress, Restarted
from orchestrator.pruners import Pruner, rules
from orchestrator.spec import SweepSpec, pruner_forms
from orchestrator.system.averages import average
from orchestrator.system.figures import compared
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

optuna.logging.set_verbosity(optuna.logging.ERROR)


class SeedPruner(Pruner):
    """Optuna's Wilcoxon pruner: its trials are our configurations, its steps their seeds.

    A trial is judged before it begins, by the seeds of its configuration that have completed; a trial that has
    begun runs to its end.
    """

    judges_epochs = False

    def __init__(self, spec: SweepSpec, rule: pruner_forms.Wilcoxon) -> None:
        self.spec, self.rule = spec, rule
        self.metric = spec.pruned_by
        self._pruner = rules.pruner(rule)
        self._events: dict[str, list[Event]] = {}  # by trial_key, of trials that have begun
        self._results: dict[str, dict[int, float]] = defaultdict(dict)  # by config_key and seed
        self._exploded: dict[str, set[str]] = {}  # by config_key the trials that exploded

    def take(self, trial: Trial, event: Event) -> None:
        if isinstance(event, Restarted):
            self._events.pop(trial.trial_key, None)
        if not isinstance(event, Progress | Finished):
            return
        self._events.setdefault(trial.trial_key, []).append(event)
        if not isinstance(event, Finished):
            return
        values = Observation.of_events([self.metric], self._events.pop(trial.trial_key)).values
        if event.outcome is Outcome.EXPLODED:
            self._exploded.setdefault(trial.config_key, set()).add(trial.trial_key)
        if event.outcome is not Outcome.COMPLETED or values is None:
            return
        (self._results[trial.config_key][trial.params["seed"]],) = values

    def renew(self, trial: Trial, was: Outcome) -> None:
        self._exploded.get(trial.config_key, set()).discard(trial.trial_key)
        self._results[trial.config_key].pop(trial.params.get("seed", 0), None)

    def judge(self, trial: Trial) -> str | None:
        own = self._results.get(trial.config_key)
        if not own or trial.trial_key in self._events:
            return None
        best = self._best(own.keys())  # perhaps of the configuration itself
        if best is None:
            return None
        study = optuna.create_study(sampler=RandomSampler(), pruner=self._pruner, direction=self.metric.goal)
        study.add_trial(create_trial(value=average(best.values()), intermediate_values=dict(best)))
        run = study.ask()
        for seed, value in own.items():
            run.report(value, seed)
        if not run.should_prune():
            return None
        worse = "below" if self.metric.goal == "maximize" else "above"
        mean, other = compared(average(own.values()), average(best.values()))
        return (
            f"{self.rule.type}: mean {self.metric.name} {mean} over {len(own)} seeds is {worse} the "
            f"{other} of the best configuration on the same seeds (p < {self.rule.p_threshold:g})"
        )

    def _best(self, seeds: AbstractSet[int]) -> Mapping[int, float] | None:
        """The values of the configuration that is best on these seeds, among those that have not exploded."""
        rivals = [
            {seed: results[seed] for seed in seeds}
            for key, results in self._results.items()
            if not self._exploded.get(key) and seeds <= results.keys()
        ]
        best = max if self.metric.goal == "maximize" else min
        return best(rivals, key=lambda results: average(results.values()), default=None)
