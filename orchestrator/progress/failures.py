"""Trials in a row that failed for the same reason: further trials would fail, too."""

from dataclasses import dataclass

from orchestrator.errors import SweepError
from orchestrator.events import Event, Finished, Listener
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import failure

MOST_IN_A_ROW = 5


@dataclass
class Failures(Listener):
    """How many of the last trials failed for the same reason, numbers aside."""

    in_a_row: int = 0
    reason: str = ""

    def take(self, trial: Trial, event: Event) -> None:
        """Take in the end of a trial."""
        if not isinstance(event, Finished):
            return
        if event.outcome is not Outcome.FAILED:
            self.in_a_row = 0
            return
        reason = event.reason or ""
        self.in_a_row = self.in_a_row + 1 if failure(reason) == failure(self.reason) else 1
        self.reason = reason

    @property
    def are_too_many(self) -> bool:
        """Whether no further trial is worth starting."""
        return self.in_a_row >= MOST_IN_A_ROW

    def check(self) -> None:
        """Raise an error, once the running trials have ended.

        Raises:
            SweepError: too many trials failed in a row.
        """
        if self.are_too_many:
            raise SweepError(
                f"{self.in_a_row} trials in a row failed for the same reason: {self.reason}; "
                "fix it, then launch again to resume"
            )
