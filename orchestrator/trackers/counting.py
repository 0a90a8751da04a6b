"""Which runs of a sweep count: what dead launches have left is put in order, and new runs take the place of others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.system.provenance import provenance
from orchestrator.trackers import anew, deleted, left_behind, more, replacement, sweep_run
from orchestrator.trackers.best_values import with_best
from orchestrator.trackers.checkpoints import Checkpoints
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.store import record_of
from orchestrator.trackers.sweep_results import SweepResults
from orchestrator.trial import Trial
from orchestrator.trials.record import Record


class CountingRuns(SweepResults):
    """Sees that each trial of a sweep has one run that counts."""

    def __init__(self, uri: str, spec: SweepSpec, is_aside: bool = False) -> None:
        super().__init__(uri, spec, is_aside)
        self._code: dict[str, str] = {}
        self._reused: dict[str, Record] = {}
        self.requests: Mapping[str, int] = {}  # more epochs that were asked for, by the trial_key of the file's trial
        self._checkpoints = self._kept()

    @translates_errors
    def replace(self, records: Iterable[Record]) -> dict[str, Record]:
        """Have these run anew, in new runs; returns what the store has then, by trial_key."""
        sets = sweep_run.sets(self.spec)
        replacement.replace(self.client, self.parent_id, self.experiment_id, records, self._origin, sets)
        self._records = self._settled()
        self._checkpoints = self._kept()
        return self._records

    @translates_errors
    def renew(self, trial: Trial) -> str:
        """Have a trial that has ended run anew, in a new run. Called again after it has failed, it makes no second one.

        Returns:
            The id of the run in whose place it runs.

        Raises:
            InputError: somebody has deleted its run.
        """
        key = trial.trial_key
        known = self._records.get(key) or self._reused.get(key)
        run_id = self._ended.get(key) or (known.run_id if known else "")
        if not run_id or deleted.is_deleted(self.client, run_id):
            raise InputError(f"the run of {trial.label or self.spec.name} was deleted in MLflow; it stays as it is")
        if self.requests.get(key):  # of the trial as it was; first, as a kill may come in between
            self.ask_more(0, [key])
        new = replacement.again(self.client, self.experiment_id, record_of(self.client.get_run(run_id)), self._origin)
        self._records[key] = record_of(self.client.get_run(new))
        self._checkpoints.forget(run_id)
        self._ended.pop(key, None)
        self._reused.pop(key, None)
        self.tally.leave(trial)
        return run_id

    @translates_errors
    def ask_more(self, epochs: int, keys: Sequence[str]) -> None:
        """Record that trials of the file are to have so many epochs, once all else of this launch has ended.

        Raises:
            InputError: somebody has deleted the run of the sweep.
        """
        if not deleted.written(
            self.client, self.parent_id, partial(more.record, self.client, self.parent_id, epochs, keys)
        ):
            raise InputError(f"the run of the sweep {self.spec.name} was deleted in MLflow, and takes no requests")
        self.requests = {**self.requests, **dict.fromkeys(keys, epochs)}

    @translates_errors
    def take_back(self, records: Sequence[Record], folder: Path) -> None:
        """Have longer trials run anew with the epochs of their file, once all else of this launch has ended.

        Args:
            records: of the longer trials, which have ended.
            folder: with the folders of the sweep's trials: theirs go.

        Raises:
            InputError: the run that one goes on from is gone for good.
        """
        parent = self.client.get_run(self.parent_id)
        anew.again(self.client, self.experiment_id, parent, records, folder, self._origin)
        self.requests = more.requests(self.client.get_run(self.parent_id).data.tags)
        for record in records:
            self._checkpoints.forget(record.run_id)

    def _kept(self) -> Checkpoints:
        return Checkpoints(self.client, self.uri, self.spec, self._records.values())

    def _settled(self, renew: Callable[[Record], object] | None = None) -> dict[str, Record]:
        def read() -> list[Record]:
            return with_best(self._found(self.spec.name), self.spec.objectives, self.curves)

        return left_behind.settled(self.client, self.parent_id, read, renew)

    def _renew(self, record: Record) -> None:
        replacement.renew(self.client, self.experiment_id, record, self._origin)

    @property
    def _origin(self) -> dict[str, str]:
        return {**provenance(self.spec.source.path.parent), **self._code}
