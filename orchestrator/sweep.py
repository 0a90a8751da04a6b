"""The loop: ask the sampler, start trials in free slots, pass what they report to all listeners."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from orchestrator import executors
from orchestrator.errors import InputError
from orchestrator.events import Event, Finished, Listener, Progress, Started
from orchestrator.executors.contract import Executor, Setup
from orchestrator.executors.limits import Limits
from orchestrator.executors.remote.engine import Engine
from orchestrator.going_on import GoingOn
from orchestrator.history import History
from orchestrator.progress.compared import Compared
from orchestrator.progress.failures import Failures
from orchestrator.progress.target import Target
from orchestrator.progress.time_cap import TimeCap
from orchestrator.pruners import Pruner
from orchestrator.requests.steering import BY_HAND, Steering
from orchestrator.samplers.learning import Learning
from orchestrator.samplers.longer import LongerSampler
from orchestrator.settings import Settings
from orchestrator.spec import SweepSpec
from orchestrator.system.figures import numbered
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.paths import LOG_FILE
from orchestrator.terminal.display import Display
from orchestrator.trackers import Recorder, Tracker, retry
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record
from orchestrator.worker import journal
from orchestrator.workspace import Workspace


@dataclass(frozen=True)
class Loop:
    """Brings the trials of a sweep to their ends, as far as the store has no result of them."""

    spec: SweepSpec
    sampler: LongerSampler
    pruner: Pruner
    settings: Settings
    interrupt: Interrupt
    tracker: Tracker
    recorder: Recorder
    workspace: Workspace
    display: Display
    time: TimeCap
    target: Target
    steering: Steering
    engine: Engine | None
    going_on: GoingOn
    failures: Failures = field(default_factory=Failures)

    @cached_property
    def compared(self) -> Compared:
        """The metrics that the file names, as trials report them."""
        return Compared(self.spec, self.sampler.learns, self.display.warn)

    @cached_property
    def listeners(self) -> Sequence[Listener]:
        """What receives the events of trials, in this order: docs/design.md says why."""
        learning = Learning(self.spec, self.sampler, self.workspace)
        followers = (self.settings.allowance, self.pruner, self.time, self.target, self.compared, self.failures)
        return learning, *followers, self.recorder, self.steering, self.display

    def run(self, history: History) -> bool:
        """Bring every trial that has no result yet to its end, or those that run to theirs when interrupted.

        Returns:
            Whether anything has changed in the store.
        """
        if self.spec.reuse:
            with self.interrupt.raising():
                asked = self.going_on.without(history.without_deleted(self.sampler.trials))
                history = replace(history, reused=retry(lambda: self.tracker.reuse(asked)))
        self.sampler.replay(history.known, self.workspace.begun(self.spec.function))
        history.check(self.spec, self.sampler, self.settings.uri)
        trials, records = history.without_deleted(self.sampler.trials), history.counting
        for remark in history.remarks(self.spec, self.sampler.trials, self.settings.uri, bool(self.settings.further)):
            self.display.log(remark)
        self.time.begin(trials, history.own, self.workspace)
        self.time.take_in(self.sampler.waiting)
        known = [(trial, records[trial.trial_key]) for trial in trials if trial.trial_key in records]
        ended = [(trial, record) for trial, record in known if record.outcome and record.outcome.is_result]
        for trial, record in ended:
            self.tracker.tally.take(trial, record)
        self.workspace.clear(trial for trial, record in ended if not record.may_go_on)
        self.target.begin([*(record for _, record in ended), *self.sampler.waiting])
        self.compared.begin(record for _, record in ended)
        self.steering.begin(trials, records)
        deleted = len(self.sampler.trials) - len(trials)
        total = None if self.sampler.total is None else self.sampler.total - deleted
        if deleted:
            retry(lambda: self.tracker.ask(total))
        self.display.begin(total, trials, records)
        if not (self.sampler.has_more and self.time.allows_more) or self.target.is_reached or self.interrupt.requested:
            self._log_remark()
            executors.end_left(self.workspace.log)
            return bool(history.reused)
        with self.interrupt.raising():
            self._inform_pruner(ended)
        with self._executor(None if total is None else max(1, total - len(ended))) as executor:
            if self.spec.function.program is None:  # a program sees to its data itself
                self.display.log("preparing the data")
                executor.prepare(self.sampler.examples())
            with self.display.live(), self.steering.over(executor, lambda: self._takes_more):
                self._loop(executor, records)
        if self.sampler.has_more:
            return True
        if not self.sampler.trials:
            raise InputError(f"{self.spec.source.path}: no valid combination of values was found")
        self._log_remark()
        return True

    def _log_remark(self) -> None:
        """Say of a sweep that has ended before its time why it has."""
        trials, total = len(self.sampler.trials), self.sampler.total
        if self.sampler.remark:
            self.display.log(self.sampler.remark)
        elif not self.sampler.has_more and (total is None or trials < total):
            self.display.log(f"there is nothing more to try after {numbered(trials)}")

    def _inform_pruner(self, ended: Sequence[tuple[Trial, Record]]) -> None:
        """Pass it the trials that had their result before; those in flight follow when they are resumed."""
        if self.spec.early_terminate is None or not ended:
            return
        metric = self.spec.pruned_by.name
        self.display.log(f"reading the {metric} of {numbered(len(ended))}")
        curves = retry(lambda: self.tracker.curves(metric, [record for _, record in ended]))
        for trial, record in ended:
            for epoch, value in curves[record.run_id].items():
                self.pruner.recall(trial, Progress(epoch, {metric: value}, record.began))
            self.pruner.take(trial, Finished(record.outcome or Outcome.FAILED, record.metrics))

    def _loop(self, executor: Executor, history: Mapping[str, Record]) -> None:
        history = dict(history)
        while True:
            self._steer(executor, history)
            while self._takes_more and executor.has_free_slot and (trial := self.sampler.ask()):
                self.going_on.take_up(trial)
                for listener in self.listeners:
                    listener.start(trial)
                if result := self._catch_up(trial):
                    self._take(trial, result)
                else:
                    self.workspace.note(trial)
                    executor.submit(trial, self.workspace.of(trial), self._threads(trial, history))
                    self._judge(trial, executor)
            is_paused = self._takes_more and self.steering.is_paused and self.sampler.has_more
            if executor.idle and not is_paused:
                self.recorder.wait_for_room(lambda: self.interrupt.requested, self.steering.is_waiting)
                if not self._takes_more or (not self.sampler.has_more and self.steering.closes()):
                    break
                continue
            for trial, event in executor.events():
                self._take(trial, event)
                if isinstance(event, Progress):
                    self._judge(trial, executor)
        self.failures.check()
        self.compared.check()

    def _steer(self, executor: Executor, history: dict[str, Record]) -> None:
        """Do what somebody has asked for meanwhile."""
        for trial, was in self.steering.renewed():
            history.pop(trial.trial_key, None)  # it begins as any other
            for listener in self.listeners:
                listener.renew(trial, was)
        for trial in self.steering.stops():
            executor.stop(trial, BY_HAND)
        if (workers := self.steering.workers()) is not None:
            executor.resize(workers)
            self.display.take_workers(workers)
            self.recorder.tell_workers(workers)

    @property
    def _takes_more(self) -> bool:
        stops = self.interrupt.requested or self.failures.are_too_many or self.compared.ends_launch
        stops = stops or bool(self.settings.allowance.remark)
        return self.recorder.has_room and self.time.allows_more and not (self.target.is_reached or stops)

    def _judge(self, trial: Trial, executor: Executor) -> None:
        reason = None if self.sampler.is_longer(trial) else self.pruner.judge(trial)
        if reason is not None:
            executor.stop(trial, reason)

    def _take(self, trial: Trial, event: Event) -> None:
        if isinstance(event, Finished) and not event.outcome.is_result:
            self._catch_up(trial)
            if program := self.spec.function.program:  # whose worker may have been killed before it could do so
                program.hide_secrets(self.workspace.of(trial) / LOG_FILE)
        if isinstance(event, Finished):
            event = self.compared.completed(trial, event)
        for listener in self.listeners:
            listener.take(trial, event)
        if isinstance(event, Started):
            self._catch_up(trial)

    def _catch_up(self, trial: Trial) -> Finished | None:
        """Recall what a process that died did not get to send; returns its trial's result, if that is part of it."""
        for entry in journal.read(self.workspace.of(trial)):
            if isinstance(entry.event, Finished):
                return entry.event
            for listener in self.listeners:
                listener.recall(trial, entry.event)
        return None

    def _threads(self, trial: Trial, history: Mapping[str, Record]) -> int | None:
        """The number of threads with which a trial was begun, so that it ends with the same numbers."""
        for entry in journal.read(self.workspace.of(trial)):
            if isinstance(entry.event, Started):
                return entry.event.threads
        known = history.get(trial.trial_key)
        return known.threads if known else None

    def _executor(self, pending: int | None) -> Executor:
        stacking = self.spec.stacking
        setup = Setup(
            self.spec.function,
            self.spec.divergence,
            self.interrupt,
            self.workspace.log,
            stacks=stacking.count(self.sampler.trials) if stacking.width > 1 else self.sampler.total,
            pending=pending,
            workers=self.settings.workers,
            resources=self.spec.resources,
            limits=Limits(self.spec.retries, self.spec.stall_seconds, trial_timeout=self.settings.trial_timeout),
            stacking=stacking,
            awaits_verdicts=self.pruner.judges_epochs,
            maximized=tuple(goal.name for goal in self.spec.objectives if goal.goal == "maximize"),
            warm=self.spec.warm,
            engine=self.engine,
            on_remark=self.display.log,
            on_places=self.display.take_places,
            on_heartbeat=self.display.heartbeat,
        )
        return executors.create(self.settings.place(self.spec), setup)
