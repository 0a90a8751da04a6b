"""Which trial comes next: ask, tell, replay."""

from collections import deque
from collections.abc import Iterable, Sequence

from orchestrator.events import Finished
from orchestrator.trial import Trial


class ListSampler:
    """Proposes the trials of a list, in its order: a grid, or random draws made beforehand."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._waiting = deque(trials)

    def replay(self, finished: Iterable[str]) -> None:
        """Leave out the trials with these keys: they have their result."""
        known = set(finished)
        self._waiting = deque(trial for trial in self._waiting if trial.trial_key not in known)

    def ask(self) -> Trial | None:
        """The next trial, or None if there is none left."""
        return self._waiting.popleft() if self._waiting else None

    @property
    def has_more(self) -> bool:
        """Whether `ask` has a trial."""
        return bool(self._waiting)

    def tell(self, trial: Trial, event: Finished) -> None:
        """A list learns nothing from its results."""
