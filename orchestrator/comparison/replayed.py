"""A trial that was trained once more, beside its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from orchestrator.events import Finished, Progress
from orchestrator.trials.record import Record

MOST_DIFFERENCES = 3  # metrics of which it is said how far they are from the run's


@dataclass(frozen=True)
class Deviation:
    """A metric that is not what it was, where it is farthest from that."""

    metric: str
    epoch: int | None  # None: at the end
    here: float
    there: float

    @property
    def apart(self) -> float:
        return abs(self.here - self.there)

    @property
    def in_words(self) -> str:
        """By how much: "loss by up to 0.1 (at epoch 2 0.3, 0.2 in the run)"."""
        where = "the end" if self.epoch is None else f"epoch {self.epoch}"
        return f"{self.metric} by up to {self.apart:.3g} (at {where} {self.here:.6g}, {self.there:.6g} in the run)"


@dataclass(frozen=True)
class Replayed:
    """How a trial ended now, beside its run."""

    record: Record
    end: Finished
    compared: int  # numbers that both have
    deviations: Sequence[Deviation]  # one for each metric that differs

    @classmethod
    def of(
        cls,
        record: Record,
        end: Finished,
        reported: Sequence[Progress],
        curves: Mapping[str, Mapping[int, float]],
    ) -> Self:
        """Where the numbers differ from the run's, metric by metric.

        Args:
            record: of the run.
            end: now.
            reported: epochs, as they are now.
            curves: of the run, by metric and epoch.
        """
        pairs = [
            Deviation(name, event.epoch, event.metrics[name], curve[event.epoch])
            for name, curve in curves.items()
            for event in reported
            if name in event.metrics and event.epoch in curve
        ]
        final = {name: record.metrics[name] for name in record.final_names if name in record.metrics}
        pairs += [Deviation(name, None, value, final[name]) for name, value in end.metrics.items() if name in final]
        farthest: dict[str, Deviation] = {}
        for pair in pairs:
            if pair.apart > (farthest[pair.metric].apart if pair.metric in farthest else 0.0):
                farthest[pair.metric] = pair
        return cls(record, end, len(pairs), [*farthest.values()])

    @property
    def ends_alike(self) -> bool:
        """Whether the run ended in the same way."""
        step = None if self.end.explosion is None else str(self.end.explosion.step)
        return self.end.outcome is self.record.outcome and step == self.record.tags.get("explosion.step")

    @property
    def in_words(self) -> str:
        """Whether it ended in the same way, and by how much the numbers differ, if there are any to compare."""
        record = self.record
        where = f" at step {record.tags['explosion.step']}" if "explosion.step" in record.tags else ""
        otherwise = f"the outcome of the run was: {record.outcome or 'not ended yet'}{where}"
        end = "the run ended in the same way" if self.ends_alike else otherwise
        if not self.compared:
            return end
        if not self.deviations:
            return f"{end}; its numbers are the same, to the bit"
        sentences = [one.in_words for one in self.deviations]
        more = f", and {len(sentences) - MOST_DIFFERENCES} more" if len(sentences) > MOST_DIFFERENCES else ""
        return f"{end}; its numbers differ: {', '.join(sentences[:MOST_DIFFERENCES])}{more}"
