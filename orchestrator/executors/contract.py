"""What an executor owes to the loop that drives it, on whatever machines its trials run.

The folder of a trial. `submit` names it: a folder on this machine. What an earlier attempt left in it (checkpoint,
journal) is at hand where the trial runs before the trial begins, and what the trial leaves comes back. An event is
yielded once the folder here holds the journal up to and with that event, and the pictures up to that epoch; a final
event, once it holds all that the trial has left: journal, artifacts, log and checkpoint. It may hold more than was
yielded, and no entry of the journal is taken back. A checkpoint may come back later than its epoch, but never before
that epoch is in the journal here. After the final event the executor no longer uses the folder: it is removed once
MLflow has the result.

Who reads it. The loop reads the journal here: before `submit`, when a trial starts and when it ends, and so does the
next launch. The recorder's thread takes pictures, artifacts and log from here. Where trials run on a disk that this
machine does not share, the executor carries the folder there and back. `Started.pid` is a process of the machine where
the trial runs: nobody but the executor may look it up.

The function. `Setup.function` is found again where the trial runs: its `modules` names the folders that hold its code,
the first one first. Where another machine does not see these folders, the executor carries them there, with the files
beside them that the trial reads, and the environment variables that the launch was started with.

Events. Every submitted trial yields exactly one final event, as the last of its events, whatever its function, its
worker or its machine does. Before it come Started, once for each attempt that begins to train, and Progress, in the
order of the epochs; after a worker was lost, an epoch may come again. A trial that cannot begin, or is stopped or
interrupted before it does, has a final event alone. Of a trial whose journal has its result already, all entries
are yielded, and nothing runs.

Resources. While a trial runs, the executor samples the resources of its process, about every five seconds, and yields
them as Sampled. For processes of this machine `resources.ResourceSampler` does so; elsewhere it is done there.

Stops. A pruner's verdict is a call of `stop` while the loop handles an event, so it is known when the loop comes back
to the iterator of `events`. With `Setup.awaits_verdicts`, a trial waits after each epoch until then, and ends after the
very epoch that was judged. At any other moment `stop` is what somebody has asked for: then, and where no verdicts are
awaited, a trial ends after the epoch that it is in, or a later one, and a program as soon as it can. An explosion that
is known by then goes before a verdict, and so does an interrupt.

Interrupts. Once `Setup.interrupt.requested` is set, nothing more begins: what waits ends as interrupted, and what runs
ends so after its epoch, with its checkpoint in its folder. Once `at_once` is set, it ends without waiting for that.

Lost workers. Where trials run in processes of their own (`Kind.isolates`), a worker is lost that has died or cannot be
reached, that gives no sign of life for longer than `Setup.limits` allow, or whose trial has had its trial timeout. A
final event with `is_loss` counts as such a loss. What is left of the worker is killed, with the children of its trials;
a program that takes too long is first asked to end, as at an interrupt, and has its `grace` for that. Its trials are
retried, without a final event, from the checkpoint that is left: at the least from that in the folder here. A trial has
failed once more than `retries` losses in a row brought no new epoch; the reason says how the last worker was lost. It
is infeasible once its attempts took longer than the trial timeout together. It is so, too, once its worker was killed
for its memory while nothing ran beside it: after the first such loss, it runs again alone. An exception of the trial
function is no loss: it would come again, and the trial has failed, or is infeasible. Where trials are not isolated, the
death of a trial is that of the launch, and no limit holds.

States. Unless `Setup.warm` asks for it, a trial of a function begins from the same state of its process whatever has
run before it: as in a process that has imported the function's modules and nothing else. The trials of a stack share
theirs. An executor that cannot do so, or only slowly, says so with `Setup.on_remark` while it prepares.

Lost machines. Where trials run elsewhere, a machine that is lost is no lost worker: its trials go on elsewhere, and
that does not count against `retries`. A trial has failed once three machines in a row were lost under it without a new
epoch; a loss that was announced or asked for, such as a job that is cancelled, counts for nothing. What comes from a
machine after it was given up is dropped, and what still runs there ends.

Slots. A slot runs a trial, or a stack of trials whose shape and number of threads are the same. How many slots there
are at first, and the threads and the GPUs of each, follows from `Setup.stacks`, `Setup.workers` and `Setup.resources`,
which are of the whole sweep and not of what is left of it: numbers depend on the number of threads to the bit. Where
`resources` names GPUs, a slot has them to itself. A trial may have another number of threads: that with which it began,
or one, where its function declares so and nobody has said how many (`Setup.threads`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Heartbeat
from orchestrator.executors.limits import Limits
from orchestrator.executors.remote.engine import Engine
from orchestrator.functions import TrialFunction
from orchestrator.places import Places
from orchestrator.stacking import UNSTACKED, Stacking
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import ANY, Resources, Shares
from orchestrator.trial import Params, Trial
from orchestrator.worker.runner import Task

OnHeartbeat = Callable[[Trial, Heartbeat], None]  # gets the step of a trial about once a second, or more often


OnPlaces = Callable[[Places], None]


def _ignore(trial: Trial, heartbeat: Heartbeat) -> None: ...


def _say_nothing(remark: str) -> None: ...


def _need_none(places: Places) -> None: ...


@dataclass(frozen=True)
class Setup:
    """All that an executor is made from."""

    function: TrialFunction  # of all its trials
    divergence: DivergenceRule
    interrupt: Interrupt
    log: Path  # what workers print outside trials
    # that the whole sweep has, or trials where these are not stacked: no more slots are of use
    stacks: int | None  # None where the sweep runs until it is stopped
    pending: int | None  # trials that have no result yet: no more slots are needed now; None where `stacks` is
    workers: int | None = None  # slots that the user asks for
    resources: Resources = ANY  # that a slot takes: no more slots than fit
    limits: Limits = field(default_factory=Limits)
    stacking: Stacking = UNSTACKED
    awaits_verdicts: bool = False  # whether trials wait after each epoch until it is known whether they are stopped
    maximized: tuple[str, ...] = ()  # metrics of which more is better: no losses
    warm: bool = False  # whether a trial may find what those before it have changed in its process
    engine: Engine | None = None  # that is connected with already
    on_remark: Callable[[str], None] = _say_nothing  # gets a line about how trials run, where that has to be said
    on_places: OnPlaces = _need_none  # called where that has changed
    on_heartbeat: OnHeartbeat = _ignore  # called by the thread that iterates `events`

    def threads(self, trial: Trial, shares: Shares) -> int:
        """How many threads a trial begins with: those of its slot, or one, where that is left to its function."""
        is_left = not shares.threads_given and not any(shares.gpus)
        declared = self.function.declaration.one_thread.items()
        return 1 if is_left and any(trial.params[name] in values for name, values in declared) else shares.threads

    def task(self, trial: Trial, workdir: Path, threads: int) -> Task:
        """A trial as a worker sees it."""
        program = self.function.program
        rule, maximized = self.divergence, self.maximized
        return Task(trial.function, trial.params, workdir, rule, threads, trial.place, program, maximized)


class Executor(Protocol):
    """Runs trials and reports what happens to them, as this module's docstring says."""

    @property
    def has_free_slot(self) -> bool:
        """Whether a further trial would begin as soon as `events` is asked for more."""

    @property
    def idle(self) -> bool:
        """Whether every submitted trial has yielded its final event."""

    def prepare(self, configs: Sequence[Params]) -> None:
        """Have the data of these configurations at hand where trials run. Returns early when interrupted.

        Raises:
            InputError: the trial function reports that they are missing or corrupt, or cannot be used at all.
            SweepError: every attempt was lost.
        """

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        """Take a trial, to start or resume it from its folder before `events` waits for anything.

        Args:
            trial: it does not run yet.
            workdir: its folder on this machine; made where it is missing.
            threads: None leaves it to `Setup.threads`.
        """

    def stop(self, trial: Trial, reason: str) -> None:
        """Have a submitted trial end as pruned, for this reason.

        It ends after the epoch that `events` yields at this moment, or else after that in which it is; where it was
        only submitted, before it begins. It may come to its end before that.
        """

    @property
    def most_slots(self) -> int | None:
        """How many slots may be asked for; None where nothing here bounds them. Any thread may ask."""

    def resize(self, slots: int) -> None:
        """Have no more slots than these from now on, and where there is room for them, no fewer.

        What runs goes on to its end, whatever their number. With 0 there is no free slot, and `events` waits though
        nothing runs.
        """

    def events(self) -> Iterator[tuple[Trial, Event]]:
        """Wait until something happens, a signal among it, and yield what there is by then."""

    def __enter__(self) -> "Executor":
        """Take what slots need."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs, without events, and every process that was started."""
