"""The write side of MLflow: the only place that writes to the store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mlflow.entities import Metric as Point
from mlflow.exceptions import MlflowException

from orchestrator.comparison.running_table import RunningTable
from orchestrator.errors import InputError, RunDeletedError, StoreError
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.requests.calls import Answer, Call
from orchestrator.requests.listening import AnsweringThread
from orchestrator.spec import SweepSpec
from orchestrator.system.paths import sqlite_path
from orchestrator.system.printable import storable
from orchestrator.trackers import (
    artifacts,
    deleted,
    experiments,
    holding,
    images,
    kept_code,
    lost_tags,
    more,
    noticeboard,
    parent_run,
    replacement,
    reuse,
    sweep_run,
    transaction,
    trial_params,
    trial_tags,
    view,
    writing,
)
from orchestrator.trackers.best_values import with_best
from orchestrator.trackers.counting import CountingRuns
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.fence import fenced
from orchestrator.trackers.lease import Lease
from orchestrator.trackers.more import Origins
from orchestrator.trackers.open_run import STATUS, OpenRun, since_restart, tags_of
from orchestrator.trackers.store import counts, record_of
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.record import INFEASIBLE, PROBLEM, REPLACED, TAKEN_BACK, Record

RESTARTED_AT = "restarted.at"
STALE_TAGS = {"outcome", "failure.reason", PROBLEM}  # of a run that is resumed


class Tracker(CountingRuns):
    """The write side, for one sweep: a parent run, and a child run for each trial."""

    def __init__(self, uri: str, spec: SweepSpec, is_aside: bool = False) -> None:
        super().__init__(uri, spec, is_aside)
        self.is_replacing = False  # whether an earlier launch was cut off while it had trials run anew
        self.lost: set[str] = set()  # trial_keys of those whose runs somebody has deleted during this launch
        self.mended: list[str] = []  # tags that somebody has deleted in MLflow, in lines
        self._reopening: set[str] = set()  # run_ids; what fails meanwhile leaves one here
        self.origins = Origins()
        self._lease: Lease | None = None
        self.answer: Callable[[Call], Answer] | None = None  # does what is asked through the store
        self._requests: AnsweringThread | None = None
        self._has_ended = self._is_closed = False

    @translates_errors
    def open(self, trials: int | None, adopt: bool = False, restore: bool = False) -> dict[str, Record]:
        """Begin a launch in the sweep's own parent run; called again, go on with what the store has by then.

        Args:
            trials: how many the launch is to bring to a result; None: as many as there are until it is stopped.
            adopt: whether to go on with the sweep although it is of another file.
            restore: whether to take the parent run out of MLflow's trash, if it is there.

        Returns:
            What the store has of the sweep, by trial_key.

        Raises:
            AlreadyRunningError: a launch on another machine is running this sweep, or one here whose lock was removed.
            InputError: the store has a sweep of this name that is of another file, or has its parent run in the trash.
        """
        experiment = sweep_run.experiment_of(self.client, self.uri, self.spec.name)
        self.experiment_id = experiment.experiment_id
        holding.check(self.parent(experiment), self.uri, self.spec.name)
        if sqlite_path(self.uri) is None and self._lease is None:
            lease = Lease(self.client, self.experiment_id)
            lease.take()
            self.client, self._lease = fenced(self.client, lease.check), lease
        is_anothers = self._lease is not None and self._lease.was_anothers
        parent = self.parent(experiment)
        if parent is not None:
            sweep_run.check(parent, self.uri, self.spec, adopt=adopt, restore=restore)
            parent = sweep_run.prepared(self.client, parent, is_anothers=is_anothers)
        self.is_aside |= sweep_run.is_aside(parent, self.spec)
        self.is_replacing = parent is not None and replacement.is_begun(parent, sweep_run.sets(self.spec))
        self.parent_id = sweep_run.begin(self.client, self.experiment_id, parent, self.spec, trials, self.is_aside)
        self._code = kept_code.keep(self.client, self.parent_id, self.spec)
        self.tally = RunningTable(self.spec, trials)
        self.mended += lost_tags.put_back(self.client, self.experiment_id, self.spec)
        self._records = self._settled(self._renew if is_anothers else None)
        self._ended, self._reused = {}, {}  # of these are the records now
        if self._lease is not None:
            self._lease.mark_settled()
            if self._requests is None and self.answer is not None:
                self._requests = noticeboard.answering(self.client, self.parent_id, self._lease.token, self.answer)
        self.requests = more.requests(parent.data.tags if parent else {})
        self._checkpoints = self._kept()
        self._colours = view.colours(len(self._records))
        return self._records

    @translates_errors
    def ask(self, trials: int | None) -> None:
        """Have the sweep say how many trials the launch is to bring to a result."""
        self.tally.asked = trials
        if not self.is_aside:
            self.of_parent(lambda: self.client.log_batch(self.parent_id, tags=tags_of(sweep_run.asked(trials))))

    @translates_errors
    def settle(self) -> dict[str, Record]:
        """What the store has of the sweep at the end of a launch, by trial_key: of each trial one run, none open."""
        self._check_open()
        try:
            return self._settled()
        except InputError as error:  # somebody has deleted the experiment
            raise StoreError(str(error)) from error

    @translates_errors
    def reuse(self, trials: Iterable[Trial]) -> dict[str, Record]:
        """Copy those trials, not begun here, that another sweep of the store has finished; returns them by key.

        Called again after it has failed, it goes on where it was.
        """
        experiments = [e.experiment_id for e in self.experiments() if e.experiment_id != self.experiment_id]
        for trial in trials if experiments else ():
            if trial.trial_key in self._records or trial.trial_key in self._reused:
                continue
            source = reuse.find(self.client, experiments, trial, self.spec.function.digest)
            if source is not None:
                run_id = reuse.copy(self.client, source, self.experiment_id, self._identity(trial))
                own = record_of(self.client.get_run(run_id))
                (own,) = with_best([own], self.spec.objectives, self.curves)
                self.client.log_batch(run_id, tags=tags_of(self.described(own)))
                self._reused[trial.trial_key] = own
        return self._reused

    @translates_errors
    def write(self, trial: Trial, events: Sequence[Event], workdir: Path) -> None:
        """Write a trial's events to its run, which is created or resumed where it is not open yet.

        Raises:
            RunDeletedError: somebody has deleted the run; what follows of this trial is not written, without a word.
        """
        self._check_open()
        if trial.trial_key in self.lost:
            return
        try:
            self._write(trial, events, workdir)
        except MlflowException as error:
            if error.error_code in deleted.NO_LONGER_THERE:
                self._look_for(trial)
            raise

    def _look_for(self, trial: Trial) -> None:
        """After a write that was refused: raise what there is to say where the run, or all, is no longer there."""
        self._check_open(afresh=True)
        try:
            experiments.check(self.client.get_experiment(self.experiment_id), self.uri)
        except InputError as error:
            raise StoreError(str(error)) from error
        run = self._runs.get(trial.trial_key) or self._records.get(trial.trial_key)
        if run is not None and deleted.is_deleted(self.client, run.run_id):
            self.lost.add(trial.trial_key)
            self._runs.pop(trial.trial_key, None)
            raise RunDeletedError(
                f"{trial.label}: its run {run.run_id} was deleted in MLflow; the trial is not run again, nor counted"
            )

    def _write(self, trial: Trial, events: Sequence[Event], workdir: Path) -> None:
        if trial.trial_key not in self._runs:
            known = self._records.get(trial.trial_key)
            self._runs[trial.trial_key] = self._reopened(known) if known else self._created(trial)
        end = events[-1]
        run, events = self._since_restart(trial, self._runs[trial.trial_key].copy(), events)
        written = run.names.tags
        points, tags = run.news(events)
        if named := {tag: name for tag, name in run.names.tags.items() if tag not in written}:
            writing.log(self.client, run, tags=tags_of(named))  # first: no metric is without its own name
        for event in events:
            if isinstance(event, Started) and event.dataset and not run.has_data:
                run.has_data = True
                data = artifacts.dataset_input(event.dataset)
                writing.attempt(self.client, run, "data", partial(self.client.log_inputs, run.run_id, [data]))
        if any(isinstance(event, (Progress, Finished)) for event in events):
            images.show_by_epoch(self.client, self.uri, run, workdir)
        if isinstance(end, Finished):
            tags |= artifacts.keep(self.client, self.uri, run, end, workdir, self.spec)
            tags |= run.picture_tags | trial_params.renamed(self._params(trial))
            metrics = {**run.last, **end.metrics, **run.best(end.outcome)}
            status = STATUS[end.outcome]
            record = Record(run.run_id, trial.trial_key, trial.label, end.outcome, status, trial.params, metrics, tags)
            tags |= self._checkpoints.keep(record, run, workdir)
            if end.outcome is not Outcome.INTERRUPTED:
                tags |= self.described(record)
        has_ended = self._log(run, end, points, {} if run.has_params else self._params(trial), tags)
        run.has_params = True
        self._runs[trial.trial_key] = run
        if isinstance(end, Finished):
            if not has_ended:
                self.client.set_terminated(run.run_id, STATUS[end.outcome])
            self._runs.pop(trial.trial_key)
            self._ended[trial.trial_key] = run.run_id
            self.tally.take(trial, record)

    @translates_errors
    def recover(self, trial: Trial) -> None:
        """After a write that failed, but may have arrived all the same: read what the store has of the trial."""
        of_trial = f"tags.trial_key = '{trial.trial_key}'"
        found = [run for run in self.client.search_runs([self.experiment_id], of_trial) if counts(run)]
        run = self._runs.get(trial.trial_key)
        if found and trial.trial_key in self._records:
            self._records[trial.trial_key] = record_of(found[0])
        elif found and (run is None or run.run_id not in [one.info.run_id for one in found]):
            run = self._runs[trial.trial_key] = OpenRun.of(found[0].info.run_id, self.spec.objectives)
        for one in found:
            if run is not None and one.info.run_id == run.run_id:
                run.pictures = None
                self._read_back(run, record_of(one))

    @translates_errors
    def end(self, status: str) -> None:
        """Have the sweep have ended: FINISHED, FAILED or KILLED. What was still open was interrupted."""
        if self._has_ended:
            return
        self._check_open()
        if self._requests is not None:
            self._requests.end()
        if self.parent_id:
            for run_id in self._reopening.union(run.run_id for run in self._runs.values()):
                interrupted = partial(self.client.set_tag, run_id, "outcome", Outcome.INTERRUPTED.value)
                if deleted.written(self.client, run_id, interrupted):
                    self.client.set_terminated(run_id, STATUS[Outcome.INTERRUPTED])
            parent_run.take_back_others(self.client, self.experiment_id, self.parent_id)
            self.of_parent(lambda: self.client.set_terminated(self.parent_id, status))
        self._has_ended = True

    @translates_errors
    def close(self, status: str) -> None:
        """End the launch, and with it the sweep where that has not ended yet."""
        if self._is_closed:
            return
        self.end(status)
        if self._lease is not None:
            self._lease.release()
        self._is_closed = True

    def abandon(self) -> None:
        """Write nothing more: what is open, the next launch ends."""
        self._is_closed = True

    def _check_open(self, afresh: bool = False) -> None:
        if self._is_closed:
            raise StoreError("this launch has ended")
        if self._lease is not None:
            self._lease.check(afresh)

    def _created(self, trial: Trial, kept: Mapping[str, str] | None = None) -> OpenRun:
        tags = {**(kept or {}), **self._identity(trial), **self._origin, "mlflow.runColor": next(self._colours)}
        tags = {name: storable(value) for name, value in tags.items()}
        run = OpenRun.of(self.client.create_run(self.experiment_id, tags=tags).info.run_id, self.spec.objectives)
        if before := self.origins.before.get(trial.trial_key):
            replaced = partial(self.client.set_tag, before.run_id, REPLACED, run.run_id)
            deleted.written(self.client, before.run_id, replaced)
            self._checkpoints.forget(before.run_id)
        return run

    def _since_restart(self, trial: Trial, run: OpenRun, events: Sequence[Event]) -> tuple[OpenRun, Sequence[Event]]:
        """The run and what is to be written to it: where a trial has begun again, a new run takes the old one's place.

        MLflow cannot take points back. The tag says which restart a run comes after, for what is written again.
        """
        restart, events = since_restart(events)
        if restart is None:
            return run, events
        mark = f"{restart.at:.3f}"
        tags = self.client.get_run(run.run_id).data.tags
        if tags.get(RESTARTED_AT) != mark:
            was_tagged = tags.pop(TAKEN_BACK, None)  # by an attempt before, which was cut off
            (self.client.delete_run if was_tagged else partial(deleted.take_back, self.client))(run.run_id)
            self._records.pop(trial.trial_key, None)
            reason = f"the program began again after epoch {restart.after}: its curve, too"
            kept = {name: value for name, value in tags.items() if not name.startswith("mlflow.")}
            run = self._created(trial, {**kept, RESTARTED_AT: mark, "restarted": reason})
            self._runs[trial.trial_key] = run.copy()
        return run, events

    def _identity(self, trial: Trial) -> dict[str, str]:
        return trial_tags.identity(trial, self.spec.name, self.parent_id) | self.origins.tags(trial.trial_key)

    def _params(self, trial: Trial) -> Params:
        return {self.spec.function.called(name): value for name, value in trial.params.items()}

    def _reopened(self, known: Record) -> OpenRun:
        run = OpenRun.of(known.run_id, self.spec.objectives, pictures=None)
        run.refused = tuple(known.tags.get(writing.REFUSED, "").splitlines())
        artifacts.clear_unfinished(self.client, known.run_id)
        self._read_back(run, known)
        self._reopening.add(known.run_id)
        # before other writes: whoever takes this sweep over makes new runs of those that are RUNNING, and of no others
        self.client.update_run(known.run_id, status="RUNNING")
        stale = {*STALE_TAGS, *self.described(known)}
        for tag in [tag for tag in known.tags if tag in stale or tag.startswith(INFEASIBLE)]:
            self.client.delete_tag(known.run_id, tag)
        if not known.metrics and not self._origin.items() <= known.tags.items():  # nothing in it is of before
            self.client.log_batch(known.run_id, tags=tags_of(self._origin))
        self._reopening.remove(known.run_id)
        return run

    def _read_back(self, run: OpenRun, record: Record) -> None:
        run.names = record.names
        for name in record.metrics:
            for point in self.client.get_metric_history(run.run_id, run.names.stored(name)):
                run.read_back(name, point.step, point.timestamp, point.value)

    def _log(self, run: OpenRun, last: Event, points: list[Point], params: Params, tags: dict[str, str]) -> bool:
        """Log all, tags last, so a run with its outcome has its points; returns whether that has also ended the run."""
        trial_params.log_whole(self.client, run, params)
        status = STATUS[last.outcome] if isinstance(last, Finished) else None
        return transaction.log(self.client, run, points, trial_params.entities(params), tags_of(tags), status)
