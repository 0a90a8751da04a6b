"""More epochs that a launch is asked for while it runs, or no more of them, until the store has that."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.requests.calls import Answer, More, Rerun
from orchestrator.trials.record import Record

SECONDS_TO_EXTEND = 1.5  # that whoever asks waits for the store


@dataclass
class Extension:
    """A request for more epochs, or for trials that have them to run anew, and what has come of it."""

    call: More | Rerun
    late: str = ""  # what to say of it while the store has not answered
    lines: tuple[str, ...] = ()  # what there is to say of its trials
    problem: str = ""  # why none is; may have several lines
    records: Sequence[Record] = ()  # of trials that run anew, once known: when this is tried again, some count no more
    is_done: threading.Event = field(default_factory=threading.Event)
    is_late: bool = False  # whoever has asked no longer waits

    @property
    def answer(self) -> Answer:
        """What came of it, once it is done."""
        return Answer(tuple(self.problem.splitlines()), 2) if self.problem else Answer(self.lines)


class Extensions:
    """The requests of a launch, which has them recorded. What is recorded trains once all else has ended.

    Args:
        lock: of what the launch knows of its trials.
        tell: gets a line of what came of a request for whose answer nobody waits any more.
    """

    def __init__(self, lock: threading.RLock, tell: Callable[[str], None]) -> None:
        self.record: Callable[[Extension, Callable[[str], None]], None] = _refuse  # has the store take one
        self._lock, self._tell = lock, tell
        self._recording = 0
        self._is_recorded = False  # that some trials are to go on

    @property
    def are_recording(self) -> bool:
        """Whether the store has yet to take one."""
        with self._lock:
            return self._recording > 0

    def begin(self, call: More | Rerun, late: str, undo: Callable[[], None] = lambda: None) -> Extension:
        """Have a request recorded.

        Args:
            call: what is asked.
            late: what to say of it where the store takes its time.
            undo: is called, under the lock, where it is not recorded.
        """
        extension = Extension(call, late)
        with self._lock:
            self._recording += 1
        self.record(extension, lambda problem: self._end(extension, problem, undo))
        return extension

    def answer(self, extension: Extension, then: str) -> Answer:
        """What came of a request, within a moment.

        Args:
            extension: the request.
            then: when its trials train, in a line.
        """
        extension.is_done.wait(SECONDS_TO_EXTEND)
        with self._lock:
            if not extension.is_done.is_set():
                extension.is_late = True
                return Answer((f"as soon as the store answers, {extension.late}",))
        answer = extension.answer
        return answer if answer.status else Answer((*answer.lines, then))

    def take(self) -> bool:
        """Whether trials are to go on, as was recorded since the last call."""
        with self._lock:
            is_recorded, self._is_recorded = self._is_recorded, False
            return is_recorded

    def _end(self, extension: Extension, problem: str, undo: Callable[[], None]) -> None:
        with self._lock:
            self._recording -= 1
            self._is_recorded |= not problem
            if problem:
                undo()
            extension.problem = problem
            extension.is_done.set()
        for line in extension.answer.lines if extension.is_late else ():
            self._tell(line)


def _refuse(extension: Extension, done: Callable[[str], None]) -> None:
    done("the launch prepares")
