"""What trials take that run in processes of this machine, sampled where the loop comes by: nothing waits for it."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from orchestrator.events import Event, Sampled, Started
from orchestrator.trial import Trial

SECONDS_BETWEEN_SAMPLES = 5.0
MEGABYTE = 1e6  # as MLflow counts them


@dataclass
class _Watched:
    trial: Trial
    process: psutil.Process
    due: float


class ResourceSampler:
    """Samples the process of each running trial, a few seconds apart. A trial that takes less is never sampled."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}

    def beside(self, events: Iterable[tuple[Trial, Event]]) -> Iterator[tuple[Trial, Event]]:
        """What an executor reports, and after that the samples that are due."""
        for trial, event in events:
            self.note(trial, event)
            yield trial, event
        yield from self.samples()

    def note(self, trial: Trial, event: Event) -> None:
        """See which process a trial is in, and when it has ended."""
        if isinstance(event, Started):
            with suppress(psutil.Error):
                process = psutil.Process(event.pid)
                process.cpu_percent()  # counts from here
                due = time.monotonic() + SECONDS_BETWEEN_SAMPLES
                self._watched[trial.trial_key] = _Watched(trial, process, due)
        elif event.is_final:
            self._watched.pop(trial.trial_key, None)

    def samples(self) -> Iterator[tuple[Trial, Sampled]]:
        """Those that are due. Utilization is that of one core since the last sample: two busy threads have 200%."""
        now = time.monotonic()
        for watched in self._watched.values():
            if now < watched.due:
                continue
            watched.due = now + SECONDS_BETWEEN_SAMPLES
            with suppress(psutil.Error):  # it has died, which the executor is about to notice
                memory = watched.process.memory_info().rss
                metrics = {
                    "system/cpu_utilization_percentage": watched.process.cpu_percent(),
                    "system/system_memory_usage_megabytes": memory / MEGABYTE,
                    "system/system_memory_usage_percentage": memory / psutil.virtual_memory().total * 100,
                }
                yield watched.trial, Sampled(metrics, time.time())
