"""A trial that is to run anew in the launch that holds its sweep, until the store knows of it."""

import threading
from dataclasses import dataclass, field

from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome, Trial


@dataclass(frozen=True)
class TrialEnd:
    """How a trial has ended, also in words."""

    outcome: Outcome
    said: str

    @classmethod
    def of(cls, outcome: Outcome, why: str) -> "TrialEnd":
        """With why, where there is something to say."""
        return cls(outcome, in_a_line(f"{outcome}: {why}" if why else str(outcome)))


@dataclass
class Renewal:
    """A trial that has ended, and is to run anew."""

    trial: Trial
    was: TrialEnd
    why: str = ""  # it does not
    is_done: threading.Event = field(default_factory=threading.Event)

    def end(self, why: str) -> None:
        """The store has its new run, or there is none, for this reason."""
        self.why = why
        self.is_done.set()

    @property
    def line(self) -> str:
        """What to say of it to whoever has asked."""
        label = self.trial.label or "the only configuration"
        if self.why:
            return f"{label} does not run anew: {in_a_line(self.why)}"
        when = "" if self.is_done.is_set() else " as soon as the store answers"
        return f"{label} runs anew{when}; what it was is kept, and counts no longer: {self.was.said}"
