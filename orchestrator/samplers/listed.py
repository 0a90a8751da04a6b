"""Trials that do not depend on results: a grid, or random draws."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.trial import Params, Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record


class ListSampler:
    """Proposes the trials of a list, in its order."""

    learns = False

    def __init__(self, trials: Sequence[Trial], remark: str = "") -> None:
        self.trials, self.remark = trials, remark
        self._waiting = deque(trials)

    @classmethod
    def of(cls, spec: SweepSpec) -> "ListSampler":
        """The trials that a file asks for.

        Raises:
            InputError: combinations are invalid, or there are none.
        """
        expansion = expand(spec)
        if expansion.invalid:
            raise InputError(*expansion.invalid)
        if not expansion.trials:
            raise InputError(f"{spec.source.path}: asks for no trials")
        return cls(expansion.trials, expansion.remark)

    @property
    def total(self) -> int:
        return len(self.trials)

    @property
    def has_more(self) -> bool:
        return bool(self._waiting)

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        """Leave out the trials that have a result."""
        ended = {key for key, record in history.items() if record.end}
        self._waiting = deque(trial for trial in self._waiting if trial.trial_key not in ended)

    def ask(self) -> Trial | None:
        return self._waiting.popleft() if self._waiting else None

    def tell(self, trial: Trial, observation: Observation) -> None:
        """A list does not learn from results."""

    def again(self, trial: Trial) -> None:
        self._waiting.appendleft(trial)

    def examples(self) -> Sequence[Params]:
        return [trial.params for trial in self._waiting]
