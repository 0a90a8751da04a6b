"""What a program leaves in the folder of its trial: how far its epochs have come."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.programs.epochs import Epochs
from orchestrator.programs.logged import Logged, Message, Source, StepMetric
from orchestrator.programs.made import Whole

STATE_FILE = "epochs.json"
IN_FILES = ("mlflow", "tensorboard", "output")  # ways whose messages can be read again


@dataclass(frozen=True)
class Heard:
    """Up to where a worker has listened to a program, at an instant between two epochs.

    Args:
        epoch: the last whole epoch.
        offset: that of `Epochs`.
        counts: those of `Epochs`.
        ready: the epoch after that, where it was about to be taken as whole.
        waiting: what had been logged, but was not passed on yet.
        source: the way that the curves come from, where that was known.
        log: how much of its output was read, in bytes.
        until: when the last message of each way was logged, of those that files are kept of.
    """

    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    ready: Whole | None = None
    waiting: Sequence[Logged | StepMetric] = ()
    source: Source | None = None
    log: int = 0
    until: Mapping[str, float] = field(default_factory=dict)

    def epochs(self, compared: str | None) -> Epochs:
        """Epochs that go on from there."""
        last = max(self.epoch, self.ready.epoch if self.ready else 0)
        return Epochs(compared, last, offset=self.offset, counts=self.counts)

    def missed(self, messages: Iterable[Message]) -> list[Message]:
        """What waits, and those of some messages that the worker has not heard: what is in files, in order of time."""
        logged = (message for message in messages if isinstance(message, Logged))
        new = [one for one in logged if one.source == "output" or one.at > self.until.get(one.source, 0.0)]
        missed = [*self.waiting, *sorted(new, key=lambda one: one.at)]
        return [one for one in missed if self.source in (None, one.source)]


@dataclass
class State:
    """How far the epochs of a program have come, for the attempt after this one; and its process, and its begin."""

    path: Path
    pid: int = 0
    begun: float = 0.0  # seconds since 1970
    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)

    @property
    def was_begun(self) -> bool:
        """Whether there was an attempt before."""
        return self.path.exists()

    @classmethod
    def of(cls, workdir: Path) -> "State":
        """What an attempt before has left."""
        path = workdir / STATE_FILE
        with suppress(OSError, ValueError, TypeError):
            return _states.validate_python({"path": path, **json.loads(path.read_text())})
        return cls(path)

    def epochs(self, compared: str | None, *, goes_on: bool) -> Epochs:
        """Epochs that go on from there; where the program cannot go on, one that only counts begins at 1."""
        counted = self.epoch if goes_on else 0
        return Epochs(compared, self.epoch, counted_after=counted, offset=self.offset, counts=self.counts)

    def write_epoch(self, epochs: Epochs, epoch: int) -> None:
        """Note that an epoch is whole, and recorded."""
        self.epoch, self.offset, self.counts = epoch, epochs.offset, dict(epochs.counts)
        self._write()

    def write_heard(self, heard: Heard) -> None:
        """Note up to where a worker has listened."""
        self.heard = heard
        self._write()

    def forget(self) -> None:
        """Note that the program has begun again."""
        self.epoch, self.offset, self.counts = 0, None, {}
        self._write()

    def _write(self) -> None:
        state = {name: value for name, value in asdict(self).items() if name != "path"}
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state))  # NaN and inf as Python writes them
        unfinished.replace(self.path)


_states: TypeAdapter[State] = TypeAdapter(State)
