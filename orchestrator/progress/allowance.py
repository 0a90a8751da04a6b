"""How many trials a command may begin, and how long it may take."""

import time

from orchestrator.events import Listener
from orchestrator.system.figures import numbered
from orchestrator.trial import Trial


class Allowance(Listener):
    """The limits of a command, over all sweeps that it launches.

    Args:
        trials: that it may begin; None: as many as there are.
        seconds: from now on; None: as long as it takes. A launch ends then as by the first Ctrl-C.
    """

    def __init__(self, trials: int | None = None, seconds: float | None = None) -> None:
        self.trials = trials
        self._until = None if seconds is None else time.monotonic() + seconds
        self._begun = 0

    def start(self, trial: Trial) -> None:
        self._begun += 1

    @property
    def seconds_left(self) -> float | None:
        """None where there is no limit."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    @property
    def remark(self) -> str:
        """Which limit has been reached, in a line; empty where none has."""
        if self.trials is not None and self._begun >= self.trials:
            return f"--max-trials: {numbered(self._begun)} begun, and no more; run the command again for the rest"
        return "--max-time is used up; run the command again for the rest" if self.seconds_left == 0 else ""
