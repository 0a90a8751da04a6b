"""Which trials can be trained together, as one stack."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.trial import Trial


@dataclass(frozen=True)
class Stacking:
    """Up to `width` trials together that differ in the parameters `by` alone. Width 1 runs each by itself."""

    width: int = 1
    by: tuple[str, ...] = ()

    def shape(self, trial: Trial) -> str:
        """What the trials of a stack have in common."""
        if self.width == 1:
            return trial.trial_key
        return json.dumps({name: value for name, value in trial.params.items() if name not in self.by}, sort_keys=True)

    def count(self, trials: Iterable[Trial]) -> int:
        """How many stacks these trials make."""
        of_a_shape = Counter(self.shape(trial) for trial in trials)
        return sum(-(-count // self.width) for count in of_a_shape.values())

    def arranged(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials of a whole sweep, those of a shape one after the other: stack after stack, each in its place."""
        if self.width == 1:
            return [*trials]
        of_a_shape: dict[str, list[Trial]] = {}
        for trial in trials:
            of_a_shape.setdefault(self.shape(trial), []).append(trial)
        return [replace(trial, place=i % self.width) for alike in of_a_shape.values() for i, trial in enumerate(alike)]


UNSTACKED = Stacking()
