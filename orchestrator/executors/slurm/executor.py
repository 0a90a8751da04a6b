"""Runs trials in jobs of Slurm, which it submits, replaces and ends; a slot for each that has come."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event
from orchestrator.executors.contract import Setup
from orchestrator.executors.limits import ActiveTrial, WorkerLoss
from orchestrator.executors.remote.link import Link
from orchestrator.executors.remote.listening import AgentListener
from orchestrator.executors.slot import Slot
from orchestrator.executors.slots import SlotExecutor
from orchestrator.executors.slurm import script
from orchestrator.executors.slurm.commands import ENDING, Slurm
from orchestrator.executors.slurm.door import Door
from orchestrator.executors.slurm.job import REVOKED
from orchestrator.executors.slurm.jobs import FOLDER, SECONDS_WHILE_MISSED, SECONDS_WHILE_WAITING, Jobs, job_name
from orchestrator.executors.slurm.orders import Serve
from orchestrator.executors.slurm.slot import SECONDS_OF_SILENCE, SECONDS_OF_WRITING, SlurmSlot
from orchestrator.places import Places
from orchestrator.spec.executor_forms import SlurmForm
from orchestrator.system.machine import Shares
from orchestrator.trial import Params, Trial
from orchestrator.worker import serve

SECONDS_TO_COME = 120.0  # for a job that runs as the launch begins: then it is ended, as nobody knows what it runs
SECONDS_OF_ABSENCE = 600.0  # of the connection to a job, after which this is ended
SECONDS_TO_END = 30.0  # for jobs, at the end of the launch
SECONDS_BETWEEN_SIGNS = 1.0


class SlurmExecutor(SlotExecutor):
    """A slot for each job.

    Args:
        setup: of the launch.
        shares: the number of jobs, and the threads and the GPUs of each.
        jobs: what each of them takes.
    """

    def __init__(self, setup: Setup, shares: Shares, jobs: SlurmForm) -> None:
        super().__init__(setup, shares)
        self.options = jobs
        self.folder = setup.log.parent.absolute() / FOLDER
        slurm = Slurm(job_name(setup.log.parent.name, self.folder), jobs.of_sbatch(setup.resources), self.folder)
        self._jobs = Jobs(slurm, self.folder)
        self._slots: list[SlurmSlot] = []
        self._unsettled: dict[Path, SlurmSlot] = {}  # trials that a job may still run, by their folder
        self._not_before: dict[Path, float] = {}  # when trials can begin of which a job may still write
        self._strangers: set[str] = set()  # jobs that run as the launch begins, and have not come yet
        self._outdated: set[str] = set()  # jobs of an earlier launch with other options
        self._ending: set[str] = set()  # jobs that leave, or are gone
        self._has_spare = False  # whether there was a place for a further trial, and none came
        self._began = inf
        self._is_open = False
        self._refusal = ""  # of Slurm's, as it was told last
        self._places = Places(0, 0)  # as they were told last

    def __enter__(self) -> "SlurmExecutor":
        (self.folder / REVOKED).mkdir(parents=True, exist_ok=True)
        options = self.options.of_sbatch(self.setup.resources)
        self._script = script.write(self.folder, self.options.setup, options)
        self._listener = AgentListener("", self._admit)
        self._door = Door.of(self._listener.address)
        self._door.write(self.folder)
        self._began, self._is_open = time.monotonic(), True
        try:
            while not self._jobs.look():
                self._check_patience()
                wait([self.setup.interrupt.fileno()], SECONDS_BETWEEN_SIGNS)
            found = self._jobs.known.values()
            self._strangers = {job.identity for job in found if job.is_living}
            self._outdated = {job.identity for job in found if script.is_another(job.command, self._script)}
            self._jobs.look_within(SECONDS_WHILE_MISSED)
            self._submit_lacking()
        except BaseException:
            self._close()
            raise
        return self

    def _check_patience(self) -> None:
        if self._is_over or time.monotonic() > self._began + SECONDS_TO_COME:
            raise SweepError("Slurm does not answer: `squeue` has nothing but an error to say")

    def _close(self) -> None:
        self._door.remove(self.folder)
        self._listener.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for slot in self._slots:
            slot.leave()
        self._jobs.slurm.cancel_all()
        until = time.monotonic() + SECONDS_TO_END
        while any(slot.is_linked for slot in self._slots) and time.monotonic() < until:
            wait([self._listener.fileno()], SECONDS_BETWEEN_SIGNS)
            self._listener.pump()
        self._close()
        while jobs := self._jobs.slurm.look().wait():
            if time.monotonic() > until or not any(job.is_living and job.state != ENDING for job in jobs.values()):
                break
            time.sleep(SECONDS_BETWEEN_SIGNS)
        if error is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def slots(self) -> Sequence[Slot]:
        return [slot for slot in self._slots if slot.runs or (slot.is_ready and not self._strangers)]

    @property
    def _has_place(self) -> bool:
        """A trial may wait for the first job; else those of an earlier launch are asked for first."""
        free = sum(slot.is_ready or bool(slot.held) for slot in self._slots)
        return len(self._waiting) < max(free * self.setup.stacking.width, 0 if self._busy() else 1)

    def prepare(self, configs: Sequence[Params]) -> None:
        while self._strangers and not self._is_over:
            self._wait(())
        if not any(slot.held for slot in self._slots):  # else an earlier launch has done so
            super().prepare(configs)

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        super().submit(trial, workdir, threads)
        self._has_spare = False

    def resize(self, slots: int) -> None:
        super().resize(slots)
        self._has_spare = False

    def events(self) -> Iterator[tuple[Trial, Event]]:
        self._has_spare = self._has_spare or (not self._waiting and any(slot.is_ready for slot in self._slots))
        yield from super().events()
        for slot in [slot for slot in self._slots if slot.is_gone and not slot.runs]:
            self._slots.remove(slot)

    @property
    def _is_over(self) -> bool:
        self.setup.interrupt.drain()
        return self.setup.interrupt.requested

    @property
    def _ends(self) -> Sequence[int]:
        return [self._listener.fileno()]

    @property
    def _due(self) -> float:
        now = time.monotonic()
        fences = [until for until in self._not_before.values() if until > now]
        return min([now + SECONDS_BETWEEN_SIGNS, self._listener.due, self._jobs.due, *fences])

    def _attend(self) -> None:
        """See to who comes, to what jobs say, and to the queue."""
        self._listener.pump()
        for slot in self._slots:
            was_linked = slot.unheard_since == inf
            slot.attend()
            if slot.has_come:
                self._strangers.discard(slot.job)
                self._jobs.arrivals.has_come(slot.job)
                slot.is_outdated = slot.job in self._outdated
            if slot.is_of_no_use or (slot.held and self._runs_elsewhere(slot)):
                slot.leave()
            if not slot.is_linked and was_linked:
                self._jobs.look_within(1.0)
        has_looked = self._jobs.look()
        if has_looked:
            self._compare_with_queue()
            self._look_at_arrivals()
        ending = {slot.job for slot in self._slots if slot.leaving is not None or slot.is_gone}
        if has_looked or ending != self._ending:
            self._ending = ending
            self._replace()
        self._tell()

    # Jobs

    def _admit(self, session: str) -> Link | None:
        """The link of a job that comes, for the first time or again."""
        slot = next((slot for slot in self._slots if slot.session == session), None)
        if (slot and slot.is_gone) or (self.folder / REVOKED / session).exists():
            return None
        if slot is None:
            slot = SlurmSlot(session, self._serving())
            self._slots.append(slot)
        return slot.link

    def _compare_with_queue(self) -> None:
        """Give up jobs that are gone, or cannot be reached for long."""
        now = time.monotonic()
        for slot in self._slots:
            job = self._jobs.known.get(slot.job)
            if slot.is_linked or slot.is_gone or not slot.has_come:
                continue
            if job is None or not job.is_living or job.state == ENDING:
                self._give_up(slot)
            elif now - slot.unheard_since > SECONDS_OF_ABSENCE:
                self._jobs.slurm.cancel([slot.job])
                self._jobs.look_within(SECONDS_WHILE_MISSED)
            else:
                self._jobs.look_within(SECONDS_WHILE_MISSED)
        living = {identity for identity, job in self._jobs.known.items() if job.is_living}
        self._strangers &= living
        if self._strangers:
            self._jobs.look_within(SECONDS_WHILE_MISSED)
            if now > self._began + SECONDS_TO_COME:
                self._strangers = {name for name in self._strangers if self._jobs.known[name].state != ENDING}
                self._jobs.slurm.cancel(self._strangers)

    def _look_at_arrivals(self) -> None:
        """Say what keeps jobs from coming; end where none is there, and none will come.

        Raises:
            InputError: they would wait for ever.
            SweepError: they end before they come.
        """
        if not any(slot.has_come and not slot.is_gone for slot in self._slots):
            self._jobs.check_hope()
            if self._jobs.arrivals.are_failing and not self._jobs.arrivals.has_running:
                raise SweepError(self._jobs.arrivals.problem)
        for remark in self._jobs.arrivals.remarks(self._door.in_words):
            self.setup.on_remark(remark)

    def _runs_elsewhere(self, late: SlurmSlot) -> bool:
        """Whether a trial that a job holds has begun anew meanwhile: the job was given up, and comes all the same."""
        return any(run.task.workdir.resolve() in late.held for slot in self._slots for run in slot.runs.values())

    def _give_up(self, slot: SlurmSlot) -> None:
        """A job is gone, as far as Slurm knows; where it was silent before, its machine may still be at it."""
        now = time.monotonic()
        with suppress(OSError):
            (self.folder / REVOKED / slot.session).touch()
        if now - slot.link.heard > SECONDS_OF_SILENCE:
            self._not_before |= {run.task.workdir: now + SECONDS_OF_WRITING for run in slot.runs.values()}
        slot.gone()

    def _replace(self) -> None:
        """Have as many jobs as there are to be; later, where Slurm is away."""
        if self._is_over or self._strangers or not self._jobs.is_answering:
            return
        try:
            self._submit_lacking()
        except InputError as error:
            self._jobs.look_within(SECONDS_WHILE_WAITING)
            if str(error) != self._refusal:
                self._refusal = str(error)
                self.setup.on_remark(f"{error}; it is asked again later")

    def _submit_lacking(self) -> None:
        """Submit those that lack, where there is something for them to do; cancel what waits and is too much."""
        if self._strangers:
            return
        self._jobs.cancel(job.identity for job in self._jobs.waiting if job.identity in self._outdated)
        waiting = [job.identity for job in self._jobs.waiting]  # also those that were put back into the queue
        there = {slot.job for slot in self._slots if slot.has_come and not slot.is_gone}
        there |= {identity for identity, job in self._jobs.known.items() if job.state != ENDING}
        there = (there - self._ending).union(waiting, self._jobs.arrivals.awaited)
        has_free = self._has_spare or any(slot.is_ready for slot in self._slots)
        most = max(self._most, bool(self._waiting))  # of a paused sweep, too, what has lost its job goes on
        wanted = len(self._waiting) if has_free else most
        lacking = min(wanted, most) - len(there)
        if lacking > 0 and not self._jobs.arrivals.pause:
            self._jobs.submit(self._script, lacking)
        serving = {slot.job for slot in self._slots if slot.has_come and slot.leaving is None and not slot.is_gone}
        there = {*waiting, *self._jobs.arrivals.awaited, *serving}
        self._jobs.cancel(waiting[: max(0, len(there) - most)])

    def _tell(self) -> None:
        """Say which jobs are there and wait, where that has changed."""
        ready = sum(slot.has_come and slot.leaving is None and not slot.is_gone for slot in self._slots)
        waiting = self._jobs.waiting
        reason = next((job.reason for job in waiting if job.reason not in ("None", "")), "")
        places = Places(ready, len(waiting), reason, len(self._waiting))
        if places != self._places:
            self._places = places
            self.setup.on_places(places)

    def _serving(self) -> Serve:
        function = self.setup.function
        gpus = "" if self.setup.resources.gpus == 0 else None  # else Slurm shows a job its own
        around = serve.Surroundings(function.name, function.modules, self.shares.threads, gpus, self.setup.log)
        warm = self.setup.warm or function.program is not None
        return Serve(around, warm, self.options.idle_seconds, self.setup.limits)

    # Trials

    def _begin_stacks(self) -> None:
        """First those that jobs of an earlier launch run already."""
        if not self._strangers:
            self._adopt()
        super()._begin_stacks()

    def _adopt(self) -> None:
        for slot in [slot for slot in self._slots if slot.held]:
            folders = {run.task.workdir.resolve(): run for run in self._waiting}
            mine = {row: folders[folder] for folder, row in slot.held.items() if folder in folders}
            is_wanted = len(mine) == len(slot.held) and slot.held_awaits_verdicts == self.setup.awaits_verdicts
            if is_wanted:
                self._waiting = [run for run in self._waiting if run not in mine.values()]
                for run in mine.values():
                    run.begin()
                slot.adopt(mine)
            elif mine or self._waiting:
                slot.yield_held()

    def _may_still_run(self, run: ActiveTrial) -> bool:
        workdir = run.task.workdir
        slot = self._unsettled.get(workdir)
        if slot is not None and slot.is_settled:
            del self._unsettled[workdir]
            slot = None
        is_held = any(other.held and workdir.resolve() in other.held for other in self._slots)
        return slot is not None or is_held or time.monotonic() < self._not_before.get(workdir, -inf)

    def _lost(self, slot: Slot, loss: WorkerLoss) -> Iterator[tuple[Trial, Event]]:
        if isinstance(slot, SlurmSlot):
            self._unsettled |= {run.task.workdir: slot for run in slot.runs.values()}
        yield from super()._lost(slot, loss)
