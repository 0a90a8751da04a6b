"""W&B's early termination by brackets, as a pruner of Optuna's."""

from collections.abc import Collection
from itertools import islice

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial


class HyperbandPruner(BasePruner):
    """Of the trials that have come to a bracket, the best 1/eta go on, and one more.

    As https://github.com/wandb/sweeps does it (`hyperband_stopping.py`): a bracket is a number of values that a trial
    has told, and each trial counts there with the value that it told then. What differs: a trial is judged when it
    comes to a bracket, where W&B looks every few minutes at the last one behind it.

    Args:
        brackets: after how many told values trials are judged.
        eta: one trial in so many goes on.
        strict: judge by the value at the bracket, not by the best up to there.
    """

    def __init__(self, brackets: Collection[int], eta: float, strict: bool) -> None:
        self.brackets, self.eta, self.strict = brackets, eta, strict

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        if len(trial.intermediate_values) not in self.brackets:
            return False
        threshold, _ = self.threshold(study, trial)
        value = self.value(study, trial)
        return value < threshold if study.direction is StudyDirection.MAXIMIZE else value > threshold

    def value(self, study: Study, trial: FrozenTrial) -> float:
        """What a trial is judged by."""
        values = [*trial.intermediate_values.values()]
        if self.strict:
            return values[-1]
        return max(values) if study.direction is StudyDirection.MAXIMIZE else min(values)

    def threshold(self, study: Study, trial: FrozenTrial) -> tuple[float, int]:
        """The least that goes on from where this trial is, and how many trials have been there, itself included."""
        told = len(trial.intermediate_values)
        curves = [other.intermediate_values.values() for other in study.get_trials(deepcopy=False)]
        values = [next(islice(curve, told - 1, None)) for curve in curves if len(curve) >= told]
        values.sort(reverse=study.direction is StudyDirection.MAXIMIZE)
        return values[int(len(values) / self.eta)], len(values)
