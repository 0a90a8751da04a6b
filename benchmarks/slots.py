"""What the loop of slots costs by the number of slots, over slots that are made up: nothing trains, nothing is stored.

    python benchmarks/slots.py [--slots 10 100 1000] [--trials 2000] [--epochs 50]

Each slot tells 50 epochs as soon as it is asked. So what is measured is what the orchestrator itself does for an event
between a connection and its listeners: the time of the processor, and the memory that all trials together leave behind.
Then, what it takes to be woken by a single heartbeat while all slots are busy, since each of them is looked at.
"""

import argparse
import os
import resource
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.table import Table

from orchestrator import events, functions
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Finished, Heartbeat, Progress, Started
from orchestrator.executors.contract import Setup
from orchestrator.executors.limits import WorkerLoss
from orchestrator.executors.slot import Slot
from orchestrator.executors.slots import SlotExecutor
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Shares
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import serve

WAKES = 500
METRICS = {"train_loss": 1.0, "val_loss": 1.0, "accuracy": 0.5, "grad_norm": 2.0}


class MadeUpSlot(Slot):
    """Has no worker: it tells what one would tell."""

    is_alive = True
    ends: Sequence[Connection | int] = ()

    def __init__(self, epochs: int) -> None:
        super().__init__()
        told = [Progress(epoch, METRICS, time.time()) for epoch in range(1, epochs + 1)]
        course = [Started(os.getpid(), 1), *told, Finished(Outcome.COMPLETED, {"score": 1.0})]
        self.course = [events.encode(0, event) for event in course]
        self.left: deque[bytes] = deque()

    def renew(self) -> None: ...

    def begin(self, stack: serve.Stack) -> None:
        self.left.extend(self.course)

    def send(self, message: serve.Message) -> None: ...

    def receive(self) -> bytes | None:
        return self.left.popleft() if self.left else None

    def cause_of_death(self) -> WorkerLoss:
        return WorkerLoss("it never dies")

    def kill(self) -> None: ...


class MadeUpExecutor(SlotExecutor):
    """So many of these."""

    def __init__(self, setup: Setup, slots: int, epochs: int) -> None:
        super().__init__(setup, Shares(slots, 1, ()))
        self.made_up = [MadeUpSlot(epochs) for _ in range(slots)]

    @property
    def slots(self) -> Sequence[Slot]:
        return self.made_up

    @property
    def _due(self) -> float:
        return -float("inf")

    def __enter__(self) -> "MadeUpExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def measured(slots: int, trials: int, epochs: int) -> tuple[float, float]:
    """Seconds of the processor for all trials, and bytes of memory that came to be in use meanwhile."""
    with Interrupt() as interrupt, tempfile.TemporaryDirectory() as folder:
        function = functions.find(functions.DEFAULT_TRIAL)
        setup = Setup(function, DivergenceRule(), interrupt, Path(os.devnull), stacks=trials, pending=trials)
        with MadeUpExecutor(setup, slots, epochs) as executor:
            asked = iter(
                [Trial(function.name, 1, dict(function.defaults) | {"seed": i}, f"seed={i}") for i in range(trials)]
            )
            before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            ended = 0
            while ended < trials:
                while executor.has_free_slot and (trial := next(asked, None)):
                    executor.submit(trial, Path(folder))
                ended += sum(event.is_final for _, event in executor.events())
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
            return time.process_time() - before, 1024.0 * grown


def woken(slots: int) -> float:
    """Seconds of the processor of a wake-up by one slot's heartbeat, while as many trials run."""
    with Interrupt() as interrupt, tempfile.TemporaryDirectory() as folder:
        function = functions.find(functions.DEFAULT_TRIAL)
        setup = Setup(function, DivergenceRule(), interrupt, Path(os.devnull), stacks=slots, pending=slots)
        with MadeUpExecutor(setup, slots, 0) as executor:
            for slot in executor.made_up:
                slot.course = [events.encode(0, Started(os.getpid(), 1))]
            for i in range(slots):
                executor.submit(Trial(function.name, 1, {**function.defaults, "seed": i}, f"seed={i}"), Path(folder))
            while sum(isinstance(event, Started) for _, event in executor.events()) < slots:
                pass
            heartbeat, before = events.encode(0, Heartbeat(1, 0.5)), time.process_time()
            for i in range(WAKES):
                executor.made_up[i % slots].left.append(heartbeat)
                list(executor.events())
            return (time.process_time() - before) / WAKES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=50)
    asked = parser.parse_args()
    table = Table("slots", "CPU of a trial", "of an event", "of a wake-up", "memory grown")
    for slots in asked.slots:
        seconds, memory = measured(slots, asked.trials, asked.epochs)
        of_trial = seconds / asked.trials
        of_event, of_wake = of_trial / (asked.epochs + 2), woken(slots)
        row = (
            f"{1e3 * of_trial:.1f} ms",
            f"{1e6 * of_event:.0f} µs",
            f"{1e3 * of_wake:.2f} ms",
            f"{memory / 1e6:.0f} MB",
        )
        table.add_row(f"{slots:,}", *row)
    Console().print(table)


if __name__ == "__main__":
    main()
