"""A launch from its beginning to its end: it holds the sweep, runs the loop, and leaves what the trials came to."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from orchestrator import executors, pruners, samplers
from orchestrator.conclusion import Conclusion, Launched, keep_model, keep_table
from orchestrator.errors import StoreError, SweepError
from orchestrator.executors.remote.engine import Engine
from orchestrator.going_on import GoingOn
from orchestrator.history import History
from orchestrator.live_report import LiveReport
from orchestrator.more import extend
from orchestrator.prior import informed
from orchestrator.progress.published import published
from orchestrator.progress.target import Target
from orchestrator.progress.time_cap import TimeCap
from orchestrator.requests.calls import More, Rerun
from orchestrator.requests.extension import Extension
from orchestrator.requests.listening import steered
from orchestrator.requests.steering import Steering
from orchestrator.rerun import begin_anew, longer_trials, rerun, take_back
from orchestrator.samplers import Sampler
from orchestrator.samplers.listed import ListSampler
from orchestrator.samplers.longer import LongerSampler
from orchestrator.settings import Settings
from orchestrator.spec import SweepSpec
from orchestrator.sweep import Loop
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.paths import redacted
from orchestrator.terminal.display import Display
from orchestrator.trackers import Recorder, Tracker, has_finished, opened, retry
from orchestrator.trackers.recorder import OnDone
from orchestrator.trial import Outcome
from orchestrator.workspace import Workspace

RESUME = "nothing is lost: fix this, and launch again to resume"


def launch(spec: SweepSpec, settings: Settings, display: Display) -> Launched:
    """Run every trial of the sweep that has no result yet.

    Raises:
        InputError: combinations are invalid, a trial takes more than this machine has, data are missing, another launch
            of this sweep is running, or the store has a sweep of this name that is of another file.
        StoreError: MLflow does not answer.
    """
    sampler = _sampler(spec, settings)
    place = settings.place(spec)
    executors.check(spec, place)
    executors.check_folder(place, Workspace(settings.uri, spec.name).folder)
    with (
        Interrupt(spec.grace, settings.allowance.seconds_left) as interrupt,
        Workspace(settings.uri, spec.name) as workspace,
        steered(spec.name, interrupt, workspace.meeting, display.log) as steering,
        ExitStack() as told,
    ):
        display.log(f"opening the store {redacted(settings.uri)}")
        with interrupt.raising():
            make = partial(Tracker, settings.uri, spec, bool(settings.further))
            tracker = opened(make, settings.wait, display.log, lambda: interrupt.requested)
        steering.run_ids, steering.epochs, tracker.answer = lambda: tracker.run_ids, spec.epochs, steering.answer
        told.enter_context(published(workspace, spec, display.progress, lambda: tracker.is_aside))
        report = told.enter_context(LiveReport(spec, settings.uri, display.log))
        holder = _Holder(spec, settings, display, interrupt, workspace, steering, tracker, report)
        status = "FAILED"
        try:
            passed = holder.run(sampler, is_first=True)
            while holder.goes_on(passed):
                passed = holder.run_again(passed)
            with interrupt.raising():
                conclusion, now = holder.conclude(passed)
            table = conclusion.table
            status = "KILLED" if interrupt.requested else "FAILED" if table.count(Outcome.FAILED) else "FINISHED"
            with interrupt.raising():
                retry(lambda: tracker.end(status))
            if not interrupt.requested:
                with suppress(KeyboardInterrupt), interrupt.raising():  # it changes nothing of what the trials came to
                    report.end(tracker, lambda: interrupt.requested)
            gone = now.deleted_since(passed.history, passed.sampler.trials, settings.uri)
            for remark in filter(None, (gone, tracker.remark)):
                display.log(remark)
        except OSError as error:  # of the work in flight: journals, logs
            where = f"{error.filename}: " if error.filename else ""
            raise SweepError(f"{where}{error.strerror}; {RESUME}") from error
        except StoreError as error:
            raise StoreError(f"{error}; {RESUME}") from error
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            with suppress(SweepError, KeyboardInterrupt), interrupt.raising():  # the next launch ends what is open
                tracker.close(status)
        is_out_of_time = passed.sampler.has_more and not (passed.time.allows_more or passed.target.is_reached)
        spent = passed.time.spent if is_out_of_time else None
        return Launched(table, interrupt.requested, conclusion.boundary, spent, passed.target.remark)


def _sampler(spec: SweepSpec, settings: Settings) -> Sampler:
    return ListSampler(settings.further) if settings.further else samplers.of(spec)


@dataclass(frozen=True)
class _Pass:
    """The loop has been through the trials of a sweep."""

    sampler: LongerSampler
    time: TimeCap
    target: Target
    history: History  # as it began
    has_news: bool  # whether anything has changed in the store

    @property
    def begins_more(self) -> bool:
        """Whether further trials may begin."""
        return self.time.allows_more and not self.target.is_reached


@dataclass(frozen=True)
class _Holder:
    """A launch that holds its sweep."""

    spec: SweepSpec
    settings: Settings
    display: Display
    interrupt: Interrupt
    workspace: Workspace
    steering: Steering
    tracker: Tracker
    report: LiveReport

    def run(self, sampler: Sampler, *, is_first: bool) -> _Pass:
        """Bring the trials that have no result yet to their ends, or those that run to theirs when interrupted."""
        time, target = TimeCap(self.spec.time_cap), Target.of(self.spec.objectives)
        with ExitStack() as asked:
            with self.interrupt.raising():
                if (engine := self._engine(sampler)) is not None:
                    asked.enter_context(engine)
                longer, history = self._opened(sampler, is_rerun=self.settings.rerun and is_first)
            recorder = Recorder(self.tracker, self.workspace, self.display.log)
            self._steer(recorder)
            try:
                pruner = pruners.of(self.spec)
                going_on = GoingOn(longer.longer, self.tracker, self.workspace, self.display.log, history.own)
                loop = Loop(
                    *(self.spec, longer, pruner, self.settings, self.interrupt, self.tracker, recorder),
                    *(self.workspace, self.display, time, target, self.steering, engine, going_on),
                )
                has_news = loop.run(history)
                if has_news:
                    self.display.log("storing the results")
            finally:
                recorder.close(lambda: self.interrupt.at_once)
        return _Pass(longer, time, target, history, has_news)

    def run_again(self, passed: _Pass) -> _Pass:
        """Run once more; should that not begin, or not come to its end, what had ended before is concluded."""
        try:
            return self.run(_sampler(self.spec, self.settings), is_first=False)
        except SweepError:
            with self.interrupt.raising():
                self.conclude(passed)
            raise

    def goes_on(self, passed: _Pass) -> bool:
        """Whether trials are to go on in this launch, as somebody has asked for meanwhile."""
        if not self.steering.extensions.take():
            return False
        if self.interrupt.requested or self.settings.allowance.remark or not passed.begins_more:
            self.display.log("the next launch goes on with what was asked for meanwhile")
            return False
        self.display.log("going on with what was asked for meanwhile")
        return True

    def conclude(self, passed: _Pass) -> tuple[Conclusion, History]:
        """What the trials came to, written to the store; and what this has now."""
        tracker, sampler, now = self.tracker, passed.sampler, passed.history
        if passed.has_news or sampler.longer.waiting:
            now = History.of(tracker, retry(tracker.settle))
        if not self.settings.further:  # of those that are to go on, some may not have begun
            sampler.note(now.known.values())
        conclusion = Conclusion.of(self.spec, now.without_deleted(sampler.trials), now.own.values())
        conclusion.write(tracker)
        best = conclusion.table.best
        if best and not (self.interrupt.requested or tracker.is_aside):
            keep_model(tracker, best, self.workspace.log, self.display.log)
        keep_table(tracker, conclusion.table, self.display.log)
        return conclusion, now

    def _engine(self, sampler: Sampler) -> Engine | None:
        """What finds machines for trials, where any are to run elsewhere."""
        place = self.settings.place(self.spec)
        has_ended = partial(has_finished, self.tracker, self.spec.name, sampler.total)
        if not self.settings.rerun and (place.is_here or retry(has_ended)):
            return None
        wish = executors.Wish(self.spec, sampler.total, self.settings.workers)
        return executors.ask(place, wish, self.interrupt, self.workspace.log)

    def _opened(self, sampler: Sampler, *, is_rerun: bool) -> tuple[LongerSampler, History]:
        """The trials of the sweep, and what the store has of it."""
        spec, tracker, log = self.spec, self.tracker, self.display.log
        sampler, keep_prior = informed(spec, sampler, tracker, self.workspace, log)
        longer = LongerSampler(spec, sampler)
        own = retry(lambda: tracker.open(longer.total, self.settings.adopt, is_rerun))
        self.report.begin()
        spec.source.keep()
        if is_rerun or tracker.is_replacing:
            own = rerun(spec, tracker, self.workspace, own, log)
        begin_anew(own.values(), self.workspace)
        history = History.of(tracker, own, self.settings.trial_timeout)
        while tracker.mended:
            log(tracker.mended.pop(0))
        keep_prior()
        if not self.settings.further:
            longer.note(history.known.values(), tracker.requests)
            history = replace(history, own=longer.longer.begun(history.own))
        return longer, history

    def _steer(self, recorder: Recorder) -> None:
        """Have what is asked for be recorded: more epochs, or no more of them."""

        def record(extension: Extension, done: OnDone) -> None:
            recorder.have_done(partial(recorded, extension, self.tracker, self.workspace), done)

        self.steering.again, self.steering.extensions.record = recorder.again, record
        self.steering.is_aside = self.tracker.is_aside


def recorded(extension: Extension, tracker: Tracker, workspace: Workspace) -> None:
    """Have the store take what a launch is asked for of its own sweep; called again, it goes on with that.

    Raises:
        InputError: it cannot be done.
    """
    match extension.call:
        case More():
            extension.lines = extend(tracker, extension.call)
        case Rerun(keys):
            extension.records = extension.records or longer_trials(tracker, keys)
            extension.lines = take_back(tracker, workspace, extension.records)
