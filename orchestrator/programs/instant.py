"""What `Epochs` know at an instant: the epoch under way, and what it takes to go on from there in another process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.programs.beside import Calls, Series


@dataclass
class OpenEpoch:
    """The epoch that values are put into. It has no number until a call says or counts it."""

    number: int | None = None
    values: dict[str, tuple[float, float]] = field(default_factory=dict)  # the last of each metric, and its time
    counts: dict[str, int] = field(default_factory=dict)  # of these values among all of their metrics
    tally: dict[str, int] = field(default_factory=dict)  # how often each metric came
    is_whole: bool = False

    def put(self, name: str, value: float, at: float, count: int) -> None:
        """Put in a value, which is the one of this number of its metric."""
        self.values[name], self.counts[name] = (value, at), count
        self.tally[name] = self.tally.get(name, 0) + 1

    @property
    def at(self) -> float:
        """When the last value came, in seconds since 1970."""
        return max(at for _, at in self.values.values())

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric."""
        return {name: value for name, (value, _) in self.values.items()}


@dataclass(frozen=True)
class Instant:
    """Where `Epochs` are when nothing is under way, but an epoch that may be whole.

    Args:
        offset: what is added to the script's own numbers, 1 where it begins at 0; None if that is not known yet.
        counts: how many values of each metric there were.
        ended: the same, up to the end of the last whole epoch.
        usual: how often each metric came in the epoch before.
        oftener: the metrics that come oftener than epochs do.
        ready: the epoch under way, if it may be whole.
        series: the metrics of other ways.
        calls: when the chosen way has logged its last epochs.
    """

    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    usual: Mapping[str, int] = field(default_factory=dict)
    oftener: Sequence[str] = ()
    ready: OpenEpoch | None = None
    series: Mapping[str, Series] = field(default_factory=dict)
    calls: Sequence[Calls] = ()

    @property
    def has_left(self) -> bool:
        """Whether there is something that is still to come out."""
        return self.ready is not None or bool(self.series)
