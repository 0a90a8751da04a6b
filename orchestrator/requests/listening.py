"""Has a launch answer requests: a thread of its own looks for them, so that no epoch has to end first."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from orchestrator.requests.calls import Answer, Call, requests
from orchestrator.requests.mailbox import Mailbox
from orchestrator.requests.steering import Steering
from orchestrator.system.interrupt import Interrupt

SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_TO_END = 5.0


@contextmanager
def steered(sweep: str, interrupt: Interrupt, meeting: Path, log: Callable[[str], None]) -> Iterator[Steering]:
    """A context in which a launch can be steered.

    Args:
        sweep: its name.
        interrupt: of the launch.
        meeting: the folder where launches of the sweep meet; this launch holds its lock.
        log: gets a line for each request.
    """
    steering = Steering(sweep, interrupt, log)
    with answering(meeting, steering.answer, log):
        yield steering


@contextmanager
def answering(meeting: Path, answer: Callable[[Call], Answer], log: Callable[[str], None]) -> Iterator[None]:
    """A context in which requests are answered.

    Args:
        meeting: the folder where launches of the sweep meet; this launch holds its lock.
        answer: does what is asked; called in another thread.
        log: gets a line where no requests can be taken.
    """
    mailbox = Mailbox(meeting)
    try:
        mailbox.__enter__()
    except OSError as error:  # a sweep needs nobody to steer it
        log(f"{mailbox.folder}: cannot be made ({error.strerror}), so nothing can be asked of this launch")
        yield
        return
    thread = AnsweringThread(mailbox, answer, SECONDS_BETWEEN_LOOKS, OSError)  # the disk is away, or full
    thread.start()
    try:
        yield
    finally:
        thread.end()
        mailbox.__exit__(None, None, None)


class Inbox(Protocol):
    """Where requests to a launch come in."""

    token: str  # of the launch

    def taken(self) -> Iterator[tuple[str, bytes]]:
        """The requests that are there, by name; each is taken once."""

    def answer(self, name: str, answer: Answer) -> None:
        """Answer one of them."""


class AnsweringThread(threading.Thread):
    """Answers what comes in.

    Args:
        inbox: where it comes in.
        answer: does what is asked.
        seconds: between looks.
        passing: what an inbox raises that cannot be read or written at the moment.
    """

    def __init__(
        self, inbox: Inbox, answer: Callable[[Call], Answer], seconds: float, *passing: type[Exception]
    ) -> None:
        super().__init__(name="requests", daemon=True)
        self._inbox, self._answer, self._seconds, self._passing = inbox, answer, seconds, passing
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(self._seconds):
            with suppress(*self._passing):
                for name, content in self._inbox.taken():
                    self._inbox.answer(name, _answered(self._inbox.token, content, self._answer))

    def end(self) -> None:
        """Take nothing more, and wait for the answer that is being given."""
        self._ended.set()
        if self.is_alive():
            self.join(SECONDS_TO_END)  # what it looks up may hang, and ends with this process


def _answered(token: str, content: bytes, answer: Callable[[Call], Answer]) -> Answer:
    try:
        request = requests.validate_json(content)
    except ValidationError:
        return Answer(("this is no request that the launch knows; is it of another version?",), 2)
    if request.launch != token:
        return Answer(("this was asked of an earlier launch, and does nothing",), 2)
    try:
        return answer(request.call)
    except Exception as error:  # a bug, which must end neither the launch nor its answers
        return Answer((f"the launch could not do this: {type(error).__name__}: {error}",), 1)
