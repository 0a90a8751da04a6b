"""How long trials take, learned from earlier trials."""

from collections import deque
from collections.abc import Iterable, Sequence
from statistics import median

from orchestrator.trial import Outcome, Params
from orchestrator.trials.record import Record

MOST_REMEMBERED = 50  # epochs of a kind, the latest ones
MOST_KINDS = 1000

Kind = tuple[str, ...]
Pace = Sequence[str] | None  # as a trial function declares it


def kind(function: str, params: Params, pace: Pace) -> Kind:
    """What trials share that take equally long for an epoch: the parameters that decide it.

    Where the function does not declare them, all parameters but the number of epochs and the seed.
    """
    names = [name for name in params if name not in ("epochs", "seed")] if pace is None else pace
    return function, *(str(params.get(name)) for name in names)


def kind_of(record: Record, pace: Pace) -> Kind:
    """The kind of a trial that the store has."""
    return kind(record.tags.get("trial", ""), record.params, pace)


def epochs(params: Params) -> int | None:
    """How many epochs a trial will take, if that is among its parameters."""
    count = params.get("epochs")
    return count if isinstance(count, int) else None


def tells_pace(record: Record) -> bool:
    """Whether it is known from a trial how long an epoch takes."""
    return bool(record.seconds and record.last_epoch) and record.outcome is Outcome.COMPLETED


class Forecast:
    """The pace of each kind of trial, and how much of their full length trials take, since some end early."""

    def __init__(self, pace: Pace, records: Iterable[Record] = ()) -> None:
        self._paces: dict[Kind, deque[float]] = {}
        self._took = self._full = 0.0
        results = [
            (record, kind_of(record, pace), record.seconds)
            for record in records
            if record.seconds and record.outcome is not None and record.outcome.is_result
        ]
        for record, known, seconds in results:
            if record.last_epoch and tells_pace(record):
                self.learn(known, seconds / record.last_epoch)
        for record, known, seconds in results:
            self.ended(known, epochs(record.params), seconds)

    def learn(self, kind: Kind, seconds: float) -> None:
        """An epoch of such a trial took so many seconds."""
        for known in (kind, kind[:1]):
            self._paces.setdefault(known, deque(maxlen=MOST_REMEMBERED)).append(seconds)
        if len(self._paces) > MOST_KINDS:
            self._paces.pop(next(kind for kind in self._paces if len(kind) > 1))

    def ended(self, kind: Kind, epochs: int | None, seconds: float) -> None:
        """A trial of so many epochs has its result, after so many seconds."""
        full = self.seconds(kind, epochs)
        if full is not None:
            self._took += seconds
            self._full += full

    def pace(self, kind: Kind) -> float | None:
        """Seconds for an epoch: of the kind, or else of the same function; None where nothing is known."""
        known = self._paces.get(kind) or self._paces.get(kind[:1])
        return median(known) if known else None

    def seconds(self, kind: Kind, epochs: int | None) -> float | None:
        """Seconds of a trial that does not end early; a trial of unknown length counts as an epoch."""
        pace = self.pace(kind)
        return None if pace is None else pace * (epochs or 1)

    @property
    def share(self) -> float:
        """The share of these seconds that trials with a result took."""
        return self._took / self._full if self._full else 1.0
