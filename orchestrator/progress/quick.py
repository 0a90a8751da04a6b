"""Trials that end so quickly, one after the other, that a line for each would be more than anybody reads."""

import time
from collections import Counter, deque

from orchestrator.events import Finished
from orchestrator.system.figures import numbered
from orchestrator.trial import Outcome, Trial

MANY, WITHIN_SECONDS = 20, 10.0  # so many ends within so long
QUICK_SECONDS = 5.0  # that a trial takes at most which has no line of its own then
SECONDS_BETWEEN_LINES = 5.0


class QuickTrials:
    """Counts them, for a line about all of them now and then."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}  # by trial_key
        self._ends: deque[float] = deque(maxlen=MANY)
        self._outcomes: Counter[Outcome] = Counter()  # since the last line
        self._since = 0.0

    @property
    def are_many(self) -> bool:
        """Whether trials come too quickly for a line each."""
        return len(self._ends) == MANY and time.monotonic() - self._ends[0] < WITHIN_SECONDS

    def start(self, trial: Trial) -> None:
        """A trial begins."""
        self._began[trial.trial_key] = time.monotonic()

    def end(self, trial: Trial, event: Finished) -> bool:
        """A trial ends; returns whether it is counted among the quick ones, and has no line of its own."""
        now = time.monotonic()
        self._ends.append(now)
        is_quick = now - self._began.pop(trial.trial_key, now) < QUICK_SECONDS
        if not (self.are_many and is_quick) or event.outcome is Outcome.FAILED:
            return False
        self._since = self._since if self._outcomes else now
        self._outcomes[event.outcome] += 1
        return True

    def line(self, *, at_once: bool = False) -> str:
        """Those that were counted since the last line, in words; empty where it is too early for that, or none were."""
        seconds = time.monotonic() - self._since
        if not self._outcomes or (seconds < SECONDS_BETWEEN_LINES and not at_once):
            return ""
        total, outcomes = self._outcomes.total(), ", ".join(f"{o} {count}" for o, count in self._outcomes.items())
        self._outcomes.clear()
        rate = f", {total / seconds:.3g} a second" if seconds >= 1 else ""
        return f"{numbered(total, 'more trial')}{rate}: {outcomes}"
