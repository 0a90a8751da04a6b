"""How far a sweep is, as the store tells it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from orchestrator.record import Record
from orchestrator.trial import Outcome


@dataclass(frozen=True)
class Status:
    """A sweep's trials; `asked` is how many its last launch was to bring to a result."""

    name: str
    records: Sequence[Record]
    asked: int
    is_live: bool = True  # whether a launch is at work; what else stands as running was cut off

    @property
    def running(self) -> list[str]:
        """The labels of the trials that run now."""
        return [record.label for record in self.records if record.status == "RUNNING" and self.is_live]

    def count(self, outcome: Outcome) -> int:
        """How many trials ended so."""
        cut_off = [r for r in self.records if r.outcome is None and not self.is_live]
        ended = Counter(record.outcome for record in self.records)[outcome]
        return ended + len(cut_off) * (outcome is Outcome.INTERRUPTED)

    @property
    def seconds_left(self) -> float | None:
        """The time until the last trial has its result, if those that run go on; None if nothing tells."""
        results = [r for r in self.records if r.outcome and r.outcome.is_result]
        paces = [r.seconds for r in results if r.seconds]
        left = self.asked - len(results)
        if not (paces and self.running and left > 0):
            return None
        return mean(paces) * left / len(self.running)
