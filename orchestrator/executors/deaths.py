"""What there is to say of a worker that has died."""

import signal
from collections.abc import Iterable
from multiprocessing.process import BaseProcess

from orchestrator.executors.limits import WorkerLoss
from orchestrator.executors.resources import ResourceSampler
from orchestrator.system import signals
from orchestrator.system.memory import MemoryKills
from orchestrator.trial import Trial

SECONDS_TO_DIE = 5.0


class Deaths:
    """Causes of deaths, as the system knows them."""

    def __init__(self, resources: ResourceSampler) -> None:
        self._resources = resources
        self._memory = MemoryKills()

    def begin(self) -> None:
        """An attempt begins: what was killed before has nothing to do with it."""
        self._memory.forget()

    def cause(self, process: BaseProcess, trials: Iterable[Trial]) -> WorkerLoss:
        """How a worker that ran these trials has died."""
        process.join(SECONDS_TO_DIE)
        how = f"its worker {signals.ended(process.exitcode)}"
        if process.exitcode != -signal.SIGKILL:
            return WorkerLoss(how)
        how += self._memory.of_killed(self._resources.memory_of(trials))
        return WorkerLoss(how, is_for_memory=self._memory.was_memory)
