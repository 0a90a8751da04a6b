"""W&B's early termination by brackets, as a pruner of Optuna's."""

from collections.abc import Collection
from itertools import islice

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial


class HyperbandPruner(BasePruner):
    """Of the trials that have reached a bracket, the best 1/eta continue, and one trial more.

    As https://github.com/wandb/sweeps does it (`hyperband_stopping.py`): a bracket is a number of values that a trial
    has reported, and each trial counts there with the value that it reported then. The difference: a trial is judged
    when it reaches a bracket, where W&B checks the last bracket every few minutes.

    Args:
        brackets: after how many reported values trials are judged.
        eta: of so many trials a single trial continues.
        strict: judge by the value at the bracket, not by the best value so far.
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
        """The bound for this trial to continue, and how many trials have reached its bracket, itself included."""
        count = len(trial.intermediate_values)
        curves = [reached.intermediate_values.values() for reached in study.get_trials(deepcopy=False)]
        values = [next(islice(curve, count - 1, None)) for curve in curves if len(curve) >= count]
        values.sort(reverse=study.direction is StudyDirection.MAXIMIZE)
        return values[int(len(values) / self.eta)], len(values)
