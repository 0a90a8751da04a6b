"""A job of Slurm's, as a slot of its orchestrator."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

from orchestrator.executors.limits import ActiveTrial, Asked, WorkerLoss
from orchestrator.executors.remote.link import Link
from orchestrator.executors.slot import Slot
from orchestrator.executors.slurm import orders
from orchestrator.executors.slurm.orders import Adopt, EndJob, Hello, Kill, Pass, Serve, Word
from orchestrator.worker import serve

SECONDS_OF_SILENCE = 60.0  # of a job, after which the connection is taken to be cut
# For which a machine that cannot be reached may still write to the shared disk: it notices after a minute, and may see
# the folder of those that are to end as it was a minute before.
SECONDS_OF_WRITING = 150.0
YIELDED = WorkerLoss("it was asked to make room for other trials", is_planned=True)


class SlurmSlot(Slot):
    """A job that has come, until it has ended.

    Args:
        session: of its process, which no other one has.
        serving: what it is told first.
    """

    def __init__(self, session: str, serving: Serve) -> None:
        super().__init__()
        self.session, self.job, self.node = session, "", ""
        self.has_come = False  # so that it is known what it runs
        self.held: dict[Path, int] = {}  # what an earlier launch has begun in it: its place, by the folder
        self.held_awaits_verdicts = False
        self.leaving: WorkerLoss | None = None
        self.is_gone = False  # so is the job
        self.is_being_killed = False  # what it runs
        self.is_outdated = False  # it was submitted with other options, and takes no further trial
        self.unheard_since = inf  # since when it has no connection
        self.link = Link()
        self._attempt = 0
        self._inbox: deque[bytes] = deque()
        self._cause: WorkerLoss | None = None
        self._is_yielding = False
        self._order(serving)

    @property
    def is_linked(self) -> bool:
        """Whether there is a connection."""
        return self.link.connection is not None

    @property
    def is_ready(self) -> bool:
        """Whether a stack can begin in it now."""
        is_ending = self.is_gone or self.leaving is not None or self.is_being_killed or self.is_outdated
        return self.has_come and self.is_linked and not (is_ending or self.held or self.runs)

    @property
    def is_of_no_use(self) -> bool:
        """Whether it is outdated, and runs nothing any more."""
        is_at_work = self.runs or self.held or self.is_being_killed
        return self.has_come and self.is_outdated and self.leaving is None and not is_at_work

    @property
    def is_settled(self) -> bool:
        """Whether nothing of what it has run runs any more."""
        return self.is_gone or not self.is_being_killed

    @property
    def ends(self) -> Sequence[int]:
        return ()  # what it says comes through the listener of its orchestrator

    @property
    def is_alive(self) -> bool:
        return not self.is_gone

    @property
    def deadline(self) -> float:
        return super().deadline if self.is_linked else inf

    def attend(self) -> None:
        """Take what it has said by now."""
        while (message := self.link.receive()) is not None:
            word, attempt, content = orders.heard(message)
            self._hear(word, attempt, content)
        if time.monotonic() - self.link.heard > SECONDS_OF_SILENCE:
            self.link.detach()
        if self.is_linked:
            self.unheard_since = inf
            return
        self.unheard_since = min(self.unheard_since, time.monotonic())
        for run in self.runs.values():  # it is not known to be silent
            run.last_heartbeat = time.monotonic()

    def _hear(self, word: Word, attempt: int, content: bytes) -> None:
        match word:
            case Word.HELLO:
                self._know(orders.hellos.validate_json(content))
            case Word.LEAVING:
                self._leave(orders.losses.validate_json(content))
            case Word.FREE:
                self.held = {}
            case Word.LEFT:
                self.gone()
            case Word.KILLED if attempt == self._attempt:
                self.is_being_killed = False
            case Word.SENT if attempt == self._attempt:
                self._inbox.append(content)
            case Word.DIED if attempt == self._attempt:
                self._cause = orders.losses.validate_json(content)

    def _know(self, hello: Hello) -> None:
        self.has_come, self.job, self.node = True, hello.job, hello.node
        self.machine = hello.job  # which gives its trial memory of its own
        self.held = {Path(folder).resolve(): row for row, folder in hello.held.items()}
        self.held_awaits_verdicts, self.leaving = hello.awaits_verdicts, hello.leaving

    def _leave(self, why: WorkerLoss) -> None:
        self.leaving = why
        if self.runs:
            self.asked = Asked(why, inf)

    def gone(self) -> None:
        """The job has ended, or is given up."""
        self.is_gone, self.held = True, {}
        self.link.detach()

    def renew(self) -> None:
        self._cause, self.lost = None, False  # the job itself sees to its worker

    def begin(self, stack: serve.Stack) -> None:
        self._inbox.clear()
        self.send(stack)

    def adopt(self, runs: Mapping[int, ActiveTrial]) -> None:
        """Go on with all the trials that it runs, by their place."""
        self.renew()
        self._inbox.clear()
        self._attempt += 1
        self.runs, self.held = dict(runs), {}
        self.asked = Asked(self.leaving, inf) if self.leaving else None
        if self._is_yielding and not self.leaving:
            self.asked = Asked(YIELDED, max(run.deadline for run in runs.values()))
        self._order(Adopt(self._attempt, [*runs]))

    def yield_held(self) -> None:
        """Have it end what an earlier launch has begun, after the epoch."""
        if not self._is_yielding:
            self._is_yielding = True
            self._order(Pass(self._attempt, serve.Stop()))

    def send(self, message: serve.Message) -> None:
        if isinstance(message, serve.Stack | serve.Prepare):
            self._attempt += 1
        self._order(Pass(self._attempt, message))

    def receive(self) -> bytes | None:
        if self._inbox:
            return self._inbox.popleft()
        self.lost = self.lost or self._cause is not None
        return None

    def cause_of_death(self) -> WorkerLoss:
        return (
            self._cause or self.leaving or WorkerLoss(f"its job {self.job} on {self.node} has ended", is_of_node=True)
        )

    def kill(self) -> None:
        self.renew()
        self._inbox.clear()
        if not self.is_gone:
            self._attempt += 1
            self.is_being_killed = True
            self._order(Kill(self._attempt))

    def leave(self) -> None:
        """Have the job end, with what it runs."""
        self.leaving = self.leaving or WorkerLoss("its launch has ended", is_planned=True)
        self.held = {}
        self._order(EndJob())

    def _order(self, order: orders.Order) -> None:
        self.link.send(orders.orders.dump_json(order))
