"""Requests through the store, where launches of a sweep may be on other machines: tags on the sweep's parent run.

A request is a tag that names the lease of the launch that it is for, and is deleted before it is done: so it is never
done twice. Its answer is another tag, which whoever has asked removes; else the launch does after a minute.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from orchestrator.errors import AlreadyRunningError
from orchestrator.requests.calls import Answer, Call, answers, launch_of
from orchestrator.requests.listening import AnsweringThread
from orchestrator.requests.mailbox import MOST_AT_ONCE, NAME, SECONDS_OF_AN_ANSWER
from orchestrator.trackers.open_run import LONGEST_TAG

SECONDS_BETWEEN_LOOKS = 3.0
REQUEST, ANSWER = "sweep.request.", "sweep.answer."  # prefixes of the tags


class Noticeboard:
    """The parent run as the launch has it.

    Args:
        client: of the store; it writes only while the launch holds the lease.
        parent: the id of the run.
        token: of the lease.
    """

    def __init__(self, client: MlflowClient, parent: str, token: str) -> None:
        self._client, self._parent, self.token = client, parent, token
        self._answered: dict[str, float] = {}  # when, by name

    def clear(self) -> None:
        """Remove what was asked of earlier launches, and answered by them; what this one is asked already stays."""
        for tag, content in self._tags().items():
            is_request = tag.startswith(REQUEST) and NAME.fullmatch(tag.removeprefix(REQUEST)) is not None
            is_ours = is_request and launch_of(content.encode()) == self.token
            if tag.startswith((REQUEST, ANSWER)) and not is_ours:
                self._delete(tag)

    def taken(self) -> Iterator[tuple[str, bytes]]:
        """The requests to this launch, by name, in the order in which they were made; each is taken once."""
        now = time.monotonic()
        for name in [name for name, at in self._answered.items() if now - at > SECONDS_OF_AN_ANSWER]:
            del self._answered[name]
            self._delete(f"{ANSWER}{name}")
        tags = self._tags()
        names = [tag.removeprefix(REQUEST) for tag in tags if tag.startswith(REQUEST)]
        for name in sorted(filter(NAME.fullmatch, names))[:MOST_AT_ONCE]:
            content = tags[f"{REQUEST}{name}"].encode()
            if launch_of(content) in (None, self.token) and self._delete(f"{REQUEST}{name}"):
                yield name, content

    def answer(self, name: str, answer: Answer) -> None:
        """Answer a request, in as many lines as a tag has room for."""
        lines, content = len(answer.lines), answers.dump_json(answer)
        while len(content) > LONGEST_TAG:
            lines //= 2
            rest = f"and {len(answer.lines) - lines} lines more"
            content = answers.dump_json(Answer((*answer.lines[:lines], rest), answer.status))
        self._client.set_tag(self._parent, f"{ANSWER}{name}", content.decode())
        self._answered[name] = time.monotonic()

    def _tags(self) -> dict[str, str]:
        return dict(self._client.get_run(self._parent).data.tags)

    def _delete(self, tag: str) -> bool:
        """Whether it was there: of two who delete it, one finds it."""
        with suppress(MlflowException):
            self._client.delete_tag(self._parent, tag)
            return True
        return False


def answering(client: MlflowClient, parent: str, token: str, answer: Callable[[Call], Answer]) -> AnsweringThread:
    """A thread that answers what is asked through the parent run.

    Args:
        client: of the store; it writes only while the launch holds the lease.
        parent: the id of the run.
        token: of the lease.
        answer: does what is asked; called in this thread.
    """
    board = Noticeboard(client, parent, token)
    with suppress(MlflowException):
        board.clear()
    # the server is away, which its client says in many ways, or another launch has taken the sweep over
    thread = AnsweringThread(board, answer, SECONDS_BETWEEN_LOOKS, MlflowException, OSError, AlreadyRunningError)
    thread.start()
    return thread
