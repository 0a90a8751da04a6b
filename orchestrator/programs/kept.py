"""What a program leaves in the folder of its trial: how far its epochs have come."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.programs.epochs import Epochs
from orchestrator.programs.instant import Instant
from orchestrator.programs.logged import Logged, Message, Source, StepMetric
from orchestrator.system import regular

STATE_FILE = "epochs.json"
CALLS_FILE = "calls.jsonl"
MOST_BYTES = 1 << 26  # of calls: more are not kept, and an epoch that has more is one of many hours


@dataclass(frozen=True)
class Heard:
    """Up to where a worker has listened to a program, at an instant between two epochs.

    Args:
        epoch: the last whole epoch.
        instant: that of `Epochs`.
        defined: which steps the program has defined.
        waiting: what had been logged, but was not passed on yet.
        source: the way that the curves come from, where that was known.
        owners: the way that each metric comes from.
        calls: the number of the last call of `HeardCalls` that is in this.
        log: how much of its output was read, in bytes.
        until: when the last message of each way was logged, of those that files are kept of.
    """

    epoch: int = 0
    instant: Instant = field(default_factory=Instant)
    defined: Sequence[StepMetric] = ()
    waiting: Sequence[Logged] = ()
    source: Source | None = None
    owners: Mapping[str, Source] = field(default_factory=dict)
    calls: int = 0
    log: int = 0
    until: Mapping[str, float] = field(default_factory=dict)

    def epochs(self, compared: str | None) -> Epochs:
        """Epochs that go on from there."""
        return Epochs(compared, self.epoch, instant=self.instant)

    def missed(self, calls: Sequence[Logged | StepMetric], files: Iterable[Message]) -> list[Message]:
        """What waits, the calls since then, and what is new in files, in order of time; before it, what is defined."""
        logged = (message for message in files if isinstance(message, Logged))
        new = [one for one in logged if one.source == "output" or one.at > self.until.get(one.source, 0.0)]
        defined = [*self.defined, *(call for call in calls if isinstance(call, StepMetric))]
        heard = [call for call in calls if isinstance(call, Logged)]
        missed = sorted([*self.waiting, *heard, *new], key=lambda one: one.at)
        return [*defined, *missed] if missed else []


class HeardCalls:
    """The calls in which a program logs, in a file before they are answered: those since `Heard` was written last.

    To add one to a file costs a tenth of what it costs to write all that is known.

    Args:
        workdir: the folder of the trial.
    """

    def __init__(self, workdir: Path) -> None:
        self.number = 0  # of the last one
        self._path = workdir / CALLS_FILE
        regular.clear(self._path)
        self._file = -1
        self._size = self._path.stat().st_size if self._path.is_file() else 0

    def read(self, after: int) -> list[Logged | StepMetric]:
        """Those after a number, which an attempt before has left."""
        found: list[Logged | StepMetric] = []
        self.number = after
        for line in regular.content(self._path).splitlines():
            with suppress(ValueError, TypeError):  # one that was cut off
                number, call = json.loads(line)
                if number > after:
                    found.append(_calls.validate_python(call))
                    self.number = number
        return found

    def add(self, messages: Iterable[Message]) -> None:
        """Add those among these messages that epochs are made of."""
        lines = []
        for message in messages:
            if isinstance(message, Logged | StepMetric) and self._size < MOST_BYTES:
                self.number += 1
                lines.append(json.dumps([self.number, {**vars(message)}]) + "\n")  # NaN and inf as Python writes them
        if not lines:
            return
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o600)
        self._size += os.write(self._file, "".join(lines).encode())

    def clear(self) -> None:
        """Forget them: they are in `Heard` now."""
        if self._size:
            os.truncate(self._path, 0)
            self._size = 0

    def close(self) -> None:
        """Leave the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass
class State:
    """How far the epochs of a program have come, for the attempt after this one; and its process, and its begin."""

    path: Path
    pid: int = 0
    begun: float = 0.0  # seconds since 1970
    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)  # of these, those that have been logged again since then
    ended: Mapping[int, Mapping[str, int]] = field(default_factory=dict)  # what is written up to the last two epochs
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
            return _states.validate_python({"path": path, **json.loads(regular.content(path))})
        return cls(path)

    def epochs(self, compared: str | None, *, goes_on: bool) -> Epochs:
        """Epochs that go on from there; where the program cannot go on, one that only counts begins at 1."""
        counted = self.epoch if goes_on else 0
        return Epochs(compared, self.epoch, counted_after=counted, offset=self.offset, counts=self.counts)

    def write_epoch(self, epochs: Epochs, epoch: int) -> None:
        """Note that an epoch is whole, and recorded."""
        self.epoch, self.offset, self.counts = max(epoch, self.epoch), epochs.offset, epochs.ended
        last = {**self._written(epochs.ended_beside(epoch - 1)), **self.ended.get(epoch - 1, {})}
        self.ended = {epoch - 1: last, epoch: self._written(self.counts)}
        self._write()

    def _written(self, counts: Mapping[str, int]) -> dict[str, int]:
        return {name: count - self.before.get(name, 0) for name, count in counts.items()}

    def write_heard(self, heard: Heard) -> None:
        """Note up to where a worker has listened."""
        self.heard = heard
        self._write()

    def go_back(self, epoch: int) -> None:
        """Note that the program goes on at an epoch that it had logged before; at 1, it has begun again."""
        if epoch <= 1:
            self.epoch, self.offset, self.ended = 0, None, {0: {}}
        if (ended := self.ended.get(max(0, epoch - 1))) is not None:
            known = {name: count for name, count in self.counts.items() if name in ended or epoch <= 1}
            self.before = {**self.before, **{name: count - ended.get(name, 0) for name, count in known.items()}}
        self._write()

    def _write(self) -> None:
        state = {name: value for name, value in asdict(self).items() if name != "path"}
        regular.replace(self.path, json.dumps(state).encode())  # NaN and inf as Python writes them


_states: TypeAdapter[State] = TypeAdapter(State)
_calls: TypeAdapter[Logged | StepMetric] = TypeAdapter(Logged | StepMetric)
