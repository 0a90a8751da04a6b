"""Runs trials on other machines: an agent for each slot, started there by an engine.

A slot is there once its agent has called, and goes as soon as the engine says that it has ended, or nothing was heard
of it for long. What a lost agent still sends is dropped: it is told that it is not wanted, and ends.
"""

import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from orchestrator.errors import SweepError
from orchestrator.events import Event, Finished
from orchestrator.executors.contract import Setup
from orchestrator.executors.limits import ActiveTrial, WorkerLoss
from orchestrator.executors.remote.calling import SECONDS_TO_STAND_STILL
from orchestrator.executors.remote.engine import Engine, Gone
from orchestrator.executors.remote.environment import carried
from orchestrator.executors.remote.link import Link
from orchestrator.executors.remote.listening import AgentListener
from orchestrator.executors.remote.messages import WorkerSettings
from orchestrator.executors.remote.slot import RemoteSlot
from orchestrator.executors.slot import Slot
from orchestrator.executors.slots import SlotExecutor
from orchestrator.places import Places
from orchestrator.system.machine import Shares
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.worker import serve

SECONDS_OF_SILENCE = 90.0  # after which a machine counts as lost, whatever the engine says
SECONDS_OF_DOUBT = 7.0  # without a sign of life: then it is the connection that is silent, and not its trial
SECONDS_TO_LEAVE = 3.0
MARKER = ".shared-"
MOST_FAILURES = 5  # of agents in a row that never served
LONGEST_PAUSE = 60.0  # seconds, after such a failure
SECONDS_IDLE = 300.0  # after which an agent ends for which there is no trial
SECONDS_UNNEEDED = 2.0  # the same where it has no place yet: a machine may be added for it


class RemoteExecutor(SlotExecutor):
    """As many slots as are asked for and the engine has room for.

    Args:
        setup: as for any executor.
        shares: `workers` is the most slots that are of use.
        engine: that starts agents.
    """

    def __init__(self, setup: Setup, shares: Shares, engine: Engine) -> None:
        super().__init__(setup, shares)
        self._engine = engine
        self._agents: dict[str, RemoteSlot] = {}
        self._listener: AgentListener
        self._is_open = False
        self._markers: dict[Path, tuple[Path, str]] = {}
        self._opened = math.inf
        self._begins_at = -math.inf  # when trials can: machines of a launch that was killed may be at them until then
        self._given_up: dict[Path, tuple[RemoteSlot, int]] = {}  # attempts at trials, by the folder they write into
        self._configs: Sequence[Params] | None = None  # for which each machine is to have its data at hand
        self._preparing: dict[str, RemoteSlot] = {}  # the first slot of each machine that is at it
        self._broken: SweepError | None = None  # the engine is lost
        self._places: Places | None = None  # that were told last
        self._served: set[str] = set()  # agents
        self._failures = 0  # since one served for the first time
        self._begin_at = -math.inf
        self._spare_since = math.inf  # since when there has been a place for a further trial, and none came
        self._number = 0

    def __enter__(self) -> "RemoteExecutor":
        self._opened = time.monotonic()
        self._engine.__enter__()
        if self._engine.remark:
            self.setup.on_remark(self._engine.remark)
        self._listener = AgentListener(self._engine.host, self._admit)
        self._is_open = True
        self._replenish()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for slot in self._agents.values():
            slot.leave()
        deadline = time.monotonic() + SECONDS_TO_LEAVE
        with suppress(SweepError):
            while self._agents and time.monotonic() < deadline and error is None:
                self._listener.pump()
                for gone in self._engine.news():
                    self._agents.pop(gone.name, None)
                time.sleep(0.01)
        self._engine.__exit__(kind, error, trace)
        self._listener.close()
        for marker, _ in self._markers.values() if error is None else ():
            marker.unlink(missing_ok=True)

    @property
    def slots(self) -> Sequence[Slot]:
        ready = [slot for slot in self._agents.values() if slot.is_ready and (slot.loss is None or slot.runs)]
        return ready if self._configs is None else [slot for slot in ready if slot.machine in self._prepared]

    @property
    def _has_place(self) -> bool:
        # what is submitted while there is no machine yet waits for the first one
        return super()._has_place or self.idle

    def prepare(self, configs: Sequence[Params]) -> None:
        super().prepare(configs)
        self._configs = configs

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        super().submit(trial, workdir, threads)
        self._marked(workdir)
        self._spare_since = math.inf

    def resize(self, slots: int) -> None:
        super().resize(slots)
        self._spare_since = math.inf  # there may be trials for further ones

    def events(self) -> Iterator[tuple[Trial, Event]]:
        if self._waiting:
            self._spare_since = math.inf
        elif self._has_place:
            self._spare_since = min(self._spare_since, time.monotonic())
        yield from super().events()
        if self._broken is not None:  # what runs has lost its actor, too; a later launch goes on with it
            running = [run for slot in self._agents.values() for run in slot.runs.values()]
            yield from ((run.trial, Finished(Outcome.INTERRUPTED)) for run in [*self._waiting, *running])
            raise self._broken

    @property
    def _ends(self) -> Sequence[Connection | int]:
        return (self._listener.fileno(), self._engine.fileno())

    @property
    def _due(self) -> float:
        has_more = any(slot.has_more for slot in self._agents.values())
        return -math.inf if has_more else min(self._listener.due, time.monotonic() + SECONDS_OF_SILENCE / 10)

    def _attend(self) -> None:
        self._listener.pump()
        try:
            for gone in self._engine.news():
                self._lose(gone)
        except SweepError as error:
            if self.idle:
                raise
            self._broken = error
            return
        for name, slot in [*self._agents.items()]:
            self._look_after(name, slot)
        self._replenish()
        self._tell_of_places()

    def _tell_of_places(self) -> None:
        """Say how many agents are there, of those that are waited for, where that has changed."""
        ready = sum(slot.is_ready and slot.loss is None for slot in self._agents.values())
        is_enough = self._spare_since < math.inf or not self.setup.workers  # what nobody asks for is not waited for
        wanted = max(ready, 1) if is_enough else self._most
        places = Places(ready, max(0, wanted - ready), waiting=len(self._waiting))
        if places != self._places:
            self._places = places
            self.setup.on_places(places)

    def _look_after(self, name: str, slot: RemoteSlot) -> None:
        silence = time.monotonic() - slot.link.heard
        if slot.is_ready and slot.loss is None and silence > SECONDS_OF_SILENCE:
            self._lose(Gone(name, f"nothing was heard of its machine for {SECONDS_OF_SILENCE:.0f} seconds"))
            self._engine.end(name)
        for run in slot.runs.values() if silence > SECONDS_OF_DOUBT else ():
            run.last_heartbeat = time.monotonic()
        if slot.runs:
            slot.idle_since = time.monotonic()
        else:
            slot.attend()
            self._prepare_machine(slot)
            if slot.loss is not None:
                self._drop(name)
            elif self._is_unneeded(slot):
                self._engine.end(name)
                self._drop(name)
        if slot.is_ready and name not in self._served:
            self._served.add(name)
            self._failures = 0

    def _is_unneeded(self, slot: RemoteSlot) -> bool:
        """Whether there is nothing for an agent, and has not been for a while."""
        idle_since = max(self._spare_since, slot.idle_since)
        patience = SECONDS_IDLE if slot.is_ready else SECONDS_UNNEEDED
        return slot not in self._preparing.values() and time.monotonic() - idle_since > patience

    def _prepare_machine(self, slot: RemoteSlot) -> None:
        """Have the data at hand where a machine is new; one slot of it does so, and the others wait for it."""
        machine = slot.machine
        if self._configs is None or not slot.is_ready or machine in self._prepared:
            return
        first = self._preparing.setdefault(machine, slot)
        if first is not slot:
            return
        if not slot.is_alive or slot.lost:  # then its trials say why
            self._prepared.add(machine)
        elif not slot.is_preparing:
            slot.is_preparing = True
            slot.send(serve.Prepare(self.setup.function.name, self._configs))
        elif (answer := slot.receive()) is not None:
            self._prepared.add(machine)
            if problem := serve.answers.validate_json(answer).problem:
                self.setup.on_remark(f"a machine that has joined lacks data: {problem}")
        if machine in self._prepared:
            del self._preparing[machine]

    def _lost(self, slot: Slot, loss: WorkerLoss) -> Iterator[tuple[Trial, Event]]:
        if isinstance(slot, RemoteSlot) and not slot.has_copies:
            self._given_up |= {run.task.workdir: (slot, slot.attempt) for run in slot.runs.values()}
        yield from super()._lost(slot, loss)

    def _may_still_run(self, run: ActiveTrial) -> bool:
        slot, attempt = self._given_up.get(run.task.workdir, (None, 0))
        if slot is not None and not slot.may_still_run(attempt):
            del self._given_up[run.task.workdir]
            slot = None
        return slot is not None or time.monotonic() < self._begins_at

    def _lose(self, gone: Gone) -> None:
        """An agent is gone. What it had sent before is still taken."""
        slot = self._agents.get(gone.name)
        if slot is None:
            return
        slot.lose(WorkerLoss(gone.reason, gone.is_for_memory, is_of_node=not gone.is_for_memory))
        self._listener.drop(slot.link)
        if not slot.is_ready:
            self._take_failure(gone)

    def _take_failure(self, gone: Gone) -> None:
        """An agent has ended before it served: another one is begun, later and later where they end by themselves."""
        self._failures += gone.is_of_itself
        self._begin_at = time.monotonic() + min(2.0 ** min(self._failures, MOST_FAILURES + 1), LONGEST_PAUSE)
        if not self._served and (gone.is_final or self._failures >= MOST_FAILURES):
            raise SweepError(f"no trial can run: {gone.reason}")
        if self._failures == MOST_FAILURES and gone.is_of_itself:
            self.setup.on_remark(f"a machine cannot run trials, and is tried again every minute: {gone.reason}")

    def _drop(self, name: str) -> None:
        self._listener.drop(self._agents.pop(name).link)

    def _replenish(self) -> None:
        """Ask for as many agents as are of use."""
        if self.setup.interrupt.requested or time.monotonic() < self._begin_at or self._spare_since < math.inf:
            return
        most = max(self._most, bool(self._waiting))  # of a paused sweep, too, what has lost its machine goes on
        while len(self._agents) < min(most, self._engine.room):
            self._number += 1
            name = f"{self._number}-{secrets.token_hex(4)}"
            self._agents[name] = RemoteSlot(Link(), self._settings, self._marked)
            self._engine.begin(name, self._listener.address)

    def _admit(self, name: str) -> Link | None:
        slot = self._agents.get(name)
        return None if slot is None or slot.loss is not None else slot.link

    @property
    def _settings(self) -> WorkerSettings:
        function, gpus = self.setup.function, self.shares.gpus
        own = gpus[0] if gpus else None
        around = serve.Surroundings(function.name, function.modules, self.shares.threads, own, self.setup.log)
        warm = self.setup.warm or function.program is not None
        return WorkerSettings(around, warm, carried(os.environ), self._engine.code)

    def _marked(self, workdir: Path) -> tuple[Path, str]:
        """A file beside the folder of a trial, and what is in it."""
        beside = workdir.absolute().parent
        if beside not in self._markers:
            for left in beside.glob(f"{MARKER}*"):
                left.unlink(missing_ok=True)
                self._begins_at = self._opened + SECONDS_TO_STAND_STILL
            nonce = secrets.token_hex(16)
            marker = beside / f"{MARKER}{nonce[:8]}"
            with suppress(OSError):
                marker.write_text(nonce)
            self._markers[beside] = marker, nonce
        return self._markers[beside]
