"""A slot whose worker is on another machine, with an agent between."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import ValidationError

from orchestrator.executors.limits import WorkerLoss
from orchestrator.executors.remote.calling import SECONDS_TO_STAND_STILL
from orchestrator.executors.remote.carrying import Receiving, Stamp, pieces, states
from orchestrator.executors.remote.link import Link
from orchestrator.executors.remote.messages import (
    Begin,
    Commit,
    Died,
    FilesWanted,
    Leave,
    Letter,
    Piece,
    Reading,
    Ready,
    Renew,
    Renewed,
    Say,
    Tail,
    TrialFolder,
    WorkerSettings,
)
from orchestrator.executors.slot import Slot
from orchestrator.worker import serve

Describe = Callable[[Path], TrialFolder]


class RemoteSlot(Slot):
    """Reaches its worker over the link of an agent.

    Args:
        link: of the agent.
        settings: of its workers.
        marked: gives a trial's folder a marker, by which another machine knows whether it sees the same folder.
    """

    def __init__(self, link: Link, settings: WorkerSettings, marked: Callable[[Path], tuple[Path, str]]) -> None:
        super().__init__()
        self.link = link
        self.is_ready = False
        self.is_preparing = False
        self.idle_since = time.monotonic()  # as far as its executor has looked
        self.loss: WorkerLoss | None = None  # of its machine, for good
        self.attempt = 0
        self.has_copies = False  # of the folders of its trials: something of them has come
        self._marked = marked
        self._over = 0  # attempts before this one are, and nothing of them writes any more
        self._still_at = math.inf  # when all of them are, as its machine is lost
        self._death: WorkerLoss | None = None
        self._said: deque[bytes] = deque()
        self._receivings: dict[int, Receiving] = {}
        self._down: Iterator[Letter] | None = None
        link.send(Letter(settings).encode())

    @property
    def ends(self) -> Sequence[Connection | int]:
        return ()

    @property
    def is_alive(self) -> bool:
        return self.loss is None and self._death is None

    @property
    def has_more(self) -> bool:
        """Whether there is something to receive, or to send."""
        return bool(self._said) or self.link.has_message or (self._down is not None and self.link.has_room)

    def lose(self, loss: WorkerLoss) -> None:
        """Its machine is lost, for good."""
        self.loss, self._still_at = loss, time.monotonic() + SECONDS_TO_STAND_STILL

    def may_still_run(self, attempt: int) -> bool:
        """Whether something of an attempt may still write into the folders of its trials."""
        return attempt >= self._over and time.monotonic() < self._still_at

    def renew(self) -> None:
        if self._death is not None:
            self.kill()

    def begin(self, stack: serve.Stack) -> None:
        self.attempt, self.has_copies = self.attempt + 1, False
        folders = [self._folder(task.workdir) for task in stack.tasks]
        self._receivings = {row: Receiving(task.workdir) for row, task in enumerate(stack.tasks)}
        self.link.send(Letter(Begin(self.attempt, folders), serve.messages.dump_json(stack)).encode())

    def _folder(self, workdir: Path) -> TrialFolder:
        marker, nonce = self._marked(workdir)
        return TrialFolder(str(workdir), str(marker), nonce, states(workdir))

    def send(self, message: serve.Message) -> None:
        self.link.send(Letter(Say(self.attempt), serve.messages.dump_json(message)).encode())

    def receive(self) -> bytes | None:
        self.attend()
        return self._said.popleft() if self._said else None

    def attend(self) -> None:
        """Take what the agent has sent, up to what is for `receive`; send what it waits for."""
        while not self._said and (sent := self.link.receive()) is not None:
            try:
                self._take(Letter.decode(sent))
            except (ValidationError, ValueError):
                self.lost, self._death = True, WorkerLoss("its machine sent what cannot be read")
        while self._down is not None and self.link.has_room:
            letter = next(self._down, None)
            if letter is None:
                self._down = None
            else:
                self.link.send(letter.encode())
        if self._down is not None:
            self._be_patient()

    def _be_patient(self) -> None:
        """Trials are silent only because their files take their time."""
        for run in self.runs.values():
            run.last_heartbeat = time.monotonic()

    def _take(self, letter: Letter) -> None:
        match letter.message:
            case Ready(machine):
                self.machine, self.is_ready = machine, True
            case Renewed(token):
                self._over = token
            case Say(token) if token == self.attempt:
                self._said.append(letter.body)
            case Piece() as piece if piece.token == self.attempt:
                self.has_copies = True
                self._receivings[piece.row].take(piece, letter.body)
                self._be_patient()
            case Reading(token) if token == self.attempt:
                self._be_patient()
            case Tail() as tail if tail.token == self.attempt:
                self.has_copies = True
                self._receivings[tail.row].append(tail, letter.body)
            case Commit() as commit if commit.token == self.attempt:
                self._receivings[commit.row].commit(commit)
            case FilesWanted(token, files) if token == self.attempt:
                self._down = self._files(files)
            case Died(token, reason, is_for_memory) if token == self.attempt:
                self._death = WorkerLoss(reason, is_for_memory)
                self.lost, self._over = True, token + 1  # behind this comes nothing
            case _:
                pass

    def _files(self, files: Sequence[tuple[int, str]]) -> Iterator[Letter]:
        for row in sorted({row for row, _ in files}):
            wanted = [path for other, path in files if other == row]
            marks = {}
            for path in wanted:
                source = self._receivings[row].folder / path
                marks[path] = Stamp.of(source.stat()).mark
                yield from pieces(self.attempt, row, path, source)
            yield Letter(Commit(self.attempt, row, wanted, marks=marks))

    def cause_of_death(self) -> WorkerLoss:
        return self._death or self.loss or WorkerLoss("its machine does not answer")

    def kill(self) -> None:
        self.attempt += 1
        self._said.clear()
        self._receivings, self._down, self._death, self.lost = {}, None, None, False
        self.link.send(Letter(Renew(self.attempt)).encode())

    def leave(self) -> None:
        """Have the agent end."""
        self.link.send(Letter(Leave()).encode())
