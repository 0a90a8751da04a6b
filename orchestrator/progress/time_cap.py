"""How much of its `time_cap` a sweep has spent: the time of its trials, over all launches."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.events import Event, Finished, Listener, Progress, Sampled
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record
from orchestrator.worker import journal
from orchestrator.workspace import Workspace


@dataclass
class TimeCap(Listener):
    """Seconds that trials have trained for. Running trials count as they go; what has begun is not cut off."""

    cap: float | None
    ended: float = 0.0  # of whole epochs
    begun: int = 0  # trials that an earlier launch left unfinished, and that have not been resumed
    _since: dict[str, float] = field(default_factory=dict)  # by trial_key: when it last reported, of those that run

    @property
    def spent(self) -> float:
        now = time.monotonic()
        return self.ended + sum(now - since for since in self._since.values())

    @property
    def allows_more(self) -> bool:
        """Whether a further trial may start."""
        return self.cap is None or self.begun > 0 or self.spent < self.cap

    def begin(self, trials: Iterable[Trial], history: Mapping[str, Record], workspace: Workspace) -> None:
        """Take in what earlier launches have spent on these trials; unfinished trials are read from their journals."""
        for trial in trials if self.cap is not None else ():
            record = history.get(trial.trial_key)
            recorded = (record.seconds if record else None) or 0.0
            if record is not None and record.outcome is not None and record.outcome.is_result:
                self.ended += 0.0 if record.is_reused else recorded
                continue
            workdir = workspace.of(trial)
            seconds = [entry.event.seconds for entry in journal.read(workdir) if isinstance(entry.event, Progress)]
            self.ended += max(recorded, sum(seconds))
            has_failed = record is not None and record.outcome is Outcome.FAILED
            self.begun += not has_failed and (record is not None or workdir.is_dir())

    def take_in(self, records: Iterable[Record]) -> None:
        """Take in what was spent on trials that others are to go on from."""
        self.ended += sum(record.seconds or 0.0 for record in records)

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker: trials that were begun before come first."""
        self.begun = max(0, self.begun - 1)

    def take(self, trial: Trial, event: Event) -> None:
        """Take in how long an epoch took, or what came after the last."""
        if isinstance(event, Sampled):
            return
        if isinstance(event, (Progress, Finished)):
            self.ended += event.seconds
        self._since[trial.trial_key] = time.monotonic()
        if event.is_final:
            del self._since[trial.trial_key]
