"""Resources of trials that run in processes of this machine, sampled as the loop goes: nothing waits for it."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from orchestrator.events import Event, Sampled, Started
from orchestrator.system.memory import gigabytes
from orchestrator.trial import Trial

SECONDS_BETWEEN_SAMPLES = 5.0
MEGABYTE = 1e6  # as MLflow counts them


@dataclass
class _Sampling:
    trial: Trial
    process: psutil.Process
    due: float
    memory: int | None = None  # in bytes, of the last sample
    known: dict[int, psutil.Process] = field(default_factory=dict)  # by pid: a process knows its own last sample

    def processes(self) -> list[psutil.Process]:
        """The trial's process, and all that it has started."""
        living = [self.process, *self.process.children(recursive=True)]
        self.known = {process.pid: self.known.get(process.pid, process) for process in living}
        return [*self.known.values()]


class ResourceSampler:
    """Samples the processes of each running trial, a few seconds apart. A shorter trial is never sampled."""

    def __init__(self) -> None:
        self._samplings: dict[str, _Sampling] = {}

    def with_samples(self, events: Iterable[tuple[Trial, Event]]) -> Iterator[tuple[Trial, Event]]:
        """The events of an executor, and after them the samples that are due."""
        for trial, event in events:
            self.observe(trial, event)
            yield trial, event
        yield from self.samples()

    def observe(self, trial: Trial, event: Event) -> None:
        """Learn which process a trial is in, and when it has ended."""
        if isinstance(event, Started):
            with suppress(psutil.Error):
                process = psutil.Process(event.pid)
                process.cpu_percent()  # counts from here
                due = time.monotonic() + SECONDS_BETWEEN_SAMPLES
                self._samplings[trial.trial_key] = _Sampling(trial, process, due)
        elif event.is_final:
            self.forget(trial)

    def forget(self, trial: Trial) -> None:
        """A trial has ended."""
        self._samplings.pop(trial.trial_key, None)

    def samples(self) -> Iterator[tuple[Trial, Sampled]]:
        """Samples that are due. Utilization is of one core since the last sample: two busy threads have 200%."""
        now = time.monotonic()
        for sampling in self._samplings.values():
            if now < sampling.due:
                continue
            sampling.due = now + SECONDS_BETWEEN_SAMPLES
            with suppress(psutil.Error):
                cpu, memory = _total(sampling.processes())
                if not memory:
                    continue  # it has died, which the executor is about to notice
                sampling.memory = memory
                metrics = {
                    "system/cpu_utilization_percentage": cpu,
                    "system/system_memory_usage_megabytes": memory / MEGABYTE,
                    "system/system_memory_usage_percentage": memory / psutil.virtual_memory().total * 100,
                }
                yield sampling.trial, Sampled(metrics, time.time())

    def memory_of(self, trials: Iterable[Trial]) -> str:
        """What running trials of one process took together when they were last looked at; empty if never."""
        samplings = (self._samplings.get(trial.trial_key) for trial in trials)
        taken = [sampling.memory for sampling in samplings if sampling and sampling.memory is not None]
        return f"it took {gigabytes(max(taken))} when last looked at" if taken else ""


def _total(processes: Iterable[psutil.Process]) -> tuple[float, int]:
    """The utilization of processes since their last sample, in percent of a core, and their memory, in bytes."""
    cpu, memory = 0.0, 0
    for process in processes:
        with suppress(psutil.Error):  # some come and go
            memory += process.memory_info().rss
            cpu += process.cpu_percent()
    return cpu, memory
