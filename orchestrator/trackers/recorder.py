"""Writes to the store in a thread of its own, so that training never waits for MLflow, nor falls with it.

What trials report waits in order, and is written once a second: all that a trial has reported by then at once. While
MLflow does not answer, the first in the queue is retried; since a failed attempt may have been written all the same,
each retry first reads what is there.
"""

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
)

from orchestrator.errors import InputError, RunDeletedError, StoreBusyError, StoreError, SweepError
from orchestrator.events import Event, Listener
from orchestrator.system.interrupt import LAST_SECONDS
from orchestrator.system.stalling import StalledError, attended
from orchestrator.trackers import remains
from orchestrator.trackers.retrying import PATIENCE_SECONDS, WAIT
from orchestrator.trackers.tracker import Tracker
from orchestrator.trial import Trial
from orchestrator.workspace import Workspace

SECONDS_BETWEEN_WRITES = 1.0
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_BETWEEN_LINES = 10.0  # while there is nothing to wait for but the store
SECONDS_BETWEEN_DESCRIPTIONS = 30.0  # of the sweep as a whole
MOST_WAITING = 1000  # trials that have ended, but not in the store: then no more are begun

Pending = dict[str, tuple[Trial, list[Event]]]  # by trial_key, in the order in which they began to report
OnDone = Callable[[str], None]  # with why not, or nothing
NO_MORE = "nothing is written to the store any more"


@dataclass
class Errand:
    """What somebody has asked for, to be done after all that was reported before.

    Args:
        do: does it.
        refuse: is called instead where nothing is written any more.
    """

    do: Callable[[], object]
    refuse: Callable[[], object] = lambda: None


@dataclass
class Batch:
    """What is to be written at once.

    Args:
        pending: what trials have reported.
        errand: what comes after that.
        is_last: whether nothing comes after it.
    """

    pending: Pending = field(default_factory=dict)
    errand: Errand | None = None
    is_last: bool = False


class Recorder(Listener):
    """A queue of what trials report. `log` gets a line when MLflow stops to answer, and when it answers again."""

    def __init__(
        self, tracker: Tracker, workspace: Workspace, log: Callable[[str], None], patience: float = PATIENCE_SECONDS
    ) -> None:
        self.tracker = tracker
        self.workspace = workspace
        self.log = log
        self.patience = patience
        self.error: SweepError | None = None  # why nothing is written any more
        self._queue: queue.SimpleQueue[tuple[Trial, Event] | Errand | None] = queue.SimpleQueue()
        self._ended = self._written = 0  # trials; each counted by one thread alone
        self._taken: Counter[str] = Counter()  # events, by trial_key; of this thread, and of the other
        self._recorded: Counter[str] = Counter()
        self._waited_for_since: float | None = None  # when there was nothing else to do any more
        self._described: tuple[float, int] = -math.inf, -1  # when, and after how many trials
        self._has_named_files = False
        self._give_up = threading.Event()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether the store keeps up with the trials that end."""
        return self._ended - self._written < MOST_WAITING or self.error is not None

    def wait_for_room(self, enough: Callable[[], bool], more: Callable[[], bool] = lambda: False) -> None:
        """Wait until the store has caught up, has not answered for too long, or `enough` returns True.

        Args:
            enough: ends the wait.
            more: whether there is something else that the store has yet to take.
        """
        self._waited_for_since = time.monotonic()
        while not (enough() or (self.has_room and not more())):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._waited_for_since = None

    def recall(self, trial: Trial, event: Event) -> None:
        """Have an event written that an earlier attempt may not have written; what the run has already is skipped."""
        self.take(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        """Have an event written, after all that its trial has reported before.

        Raises:
            StoreError: the store has refused something, so nothing more is written.
        """
        if self.error is not None:
            raise self.error
        self._ended += event.is_final
        self._taken[trial.trial_key] += 1
        self._queue.put((trial, event))

    def again(self, trial: Trial, done: OnDone) -> None:
        """Have a trial that has ended run anew, in a new run; any thread may ask.

        Args:
            trial: all that it has reported was taken.
            done: is called once the store has that run and the folder of the trial is gone, with nothing; or with why
                it has not.
        """
        self.have_done(partial(self._renew, trial), done)

    def have_done(self, do: Callable[[], None], done: OnDone) -> None:
        """Have something done, after all that was reported before; any thread may ask.

        Args:
            do: is called again while the store does not answer.
            done: is called with nothing; or with why it was not done.
        """
        self._put(Errand(partial(self._do, do, done), partial(done, NO_MORE)))

    def tell_workers(self, workers: int) -> None:
        """Have the store say how many trials may run at once, as somebody has asked for."""
        self._put(Errand(lambda: self._retry(lambda _: self.tracker.tell_workers(workers))))

    def _put(self, errand: Errand) -> None:
        self._queue.put(errand)
        if self.error is not None:
            self._refuse_errands()

    def close(self, at_once: Callable[[], bool] = lambda: False) -> None:
        """Wait until all is written, or MLflow has not answered for too long; a moment, once `at_once` returns True.

        Raises:
            StoreError: not all could be written.
            KeyboardInterrupt: nor could it be waited for.
        """
        self._waited_for_since = said = time.monotonic()
        self._queue.put(None)
        hurry_since = None
        while self._thread.is_alive():
            self._thread.join(SECONDS_BETWEEN_LOOKS)
            if time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                self._log(f"writing to the store: {self._lacking()} not there yet")
            if at_once():
                self._give_up.set()
                hurry_since = hurry_since or time.monotonic()
                if time.monotonic() - hurry_since > LAST_SECONDS:
                    self.tracker.abandon()
                    self._log(f"the store does not answer: {self._lacking()} not written; the next launch writes it")
                    raise KeyboardInterrupt
        if self.error is not None:
            raise self.error

    def _lacking(self) -> str:
        trials = sum(count > self._recorded[key] for key, count in self._taken.items())
        return f"what {trials} trials have reported is" if trials != 1 else "what a trial has reported is"

    def _write(self) -> None:
        batch = Batch()
        while not batch.is_last:
            batch = self._collected()
            try:
                for trial, events in batch.pending.values():
                    self._record(trial, events)
                errand, batch.errand = batch.errand, None  # it says itself what comes of it
                if errand:
                    errand.do()
                self._describe()
            except SweepError as error:
                self.error = error
                self._refuse_errands(batch.errand)
                return
            except Exception as error:  # a bug, which must not leave the launch waiting for this thread
                self.error = StoreError(f"recording failed: {type(error).__name__}: {error}")
                self._refuse_errands(batch.errand)
                raise

    def _collected(self) -> Batch:
        """What is reported within a second from now on; or until there is an errand, for which somebody waits."""
        pending: Pending = {}
        until = time.monotonic() + SECONDS_BETWEEN_WRITES
        while True:
            try:
                report = self._queue.get(timeout=max(0.0, until - time.monotonic()) if pending else None)
            except queue.Empty:
                return Batch(pending)
            if report is None:
                return Batch(pending, is_last=True)
            if isinstance(report, Errand):
                return Batch(pending, report)
            trial, event = report
            pending.setdefault(trial.trial_key, (trial, []))[1].append(event)

    def _record(self, trial: Trial, events: list[Event]) -> None:
        def write(is_again: bool) -> None:
            if is_again:
                self.tracker.recover(trial)
            self.tracker.write(trial, events, self.workspace.of(trial))

        try:
            self._retry(write)
        except RunDeletedError as error:
            self._log(str(error))
        self._recorded[trial.trial_key] += len(events)
        end = events[-1]
        if end.is_final:
            self._written += 1
            if not end.may_go_on and trial.trial_key not in self.tracker.lost:  # else for when it is restored
                self._remove(trial)

    def _renew(self, trial: Trial) -> None:
        if trial.trial_key not in self.tracker.lost:
            attended(partial(self.workspace.remove, trial))  # first: in its new run it is to begin again
        run_id = self.tracker.renew(trial)
        with suppress(OSError):  # else the next launch does so
            attended(partial(self.workspace.begin_anew, trial.trial_key, run_id))

    def _do(self, do: Callable[[], None], done: OnDone) -> None:
        why = NO_MORE
        try:
            self._retry(lambda _: do())
            why = ""
        except (InputError, StalledError) as error:
            why = str(error)
        finally:
            done(why)

    def _refuse_errands(self, taken: Errand | None = None) -> None:
        """Once nothing is written any more, tell those who wait for it, also for one that was taken, and not begun."""
        if taken is not None:
            taken.refuse()
        with suppress(queue.Empty):
            while True:
                if isinstance(errand := self._queue.get_nowait(), Errand):
                    errand.refuse()

    def _retry(self, write: Callable[[bool], None]) -> None:
        """Make a write, again and again while the store does not answer; it is told whether it was made before."""
        waiting = Retrying(
            retry=retry_if_exception_type(StoreBusyError),
            wait=WAIT,
            sleep=sleep_using_event(self._give_up),
            stop=self._has_waited_enough,
            after=self._log_first_failure,
            reraise=True,
        )
        for attempt in waiting:
            with attempt:
                write(attempt.retry_state.attempt_number > 1)
        if waiting.statistics["attempt_number"] > 1:
            self._log("MLflow answers again")

    def _remove(self, trial: Trial) -> None:
        """Remove the trial's folder, which the store has no more use for."""

        def remove() -> None:
            self._log_what_goes(trial)
            self.workspace.remove(trial)

        try:
            attended(remove)
        except StalledError as error:
            self._log(f"{trial.label}: its folder could not be removed: {error}")

    def _log_what_goes(self, trial: Trial) -> None:
        """Say once what trials leave in their folders that goes with these."""
        spec = self.tracker.spec
        if self._has_named_files:
            return
        workdir, function = self.workspace.of(trial), spec.function
        left = remains.folder(workdir, function)
        if lost := remains.lost(left, spec.keep, workdir, function.declaration.checkpoints):
            self._has_named_files = True
            self._log(f"{trial.label} left {lost} in its folder, which is removed; `keep` in the file keeps such files")

    def _describe(self) -> None:
        """Keep the sweep's description current. Where that fails, training continues, and a later attempt follows."""
        when, ended = self._described
        if self._written == ended or time.monotonic() - when < SECONDS_BETWEEN_DESCRIPTIONS:
            return
        self._described = time.monotonic(), self._written
        with suppress(StoreError):
            self.tracker.describe_so_far()

    def _has_waited_enough(self, state: RetryCallState) -> bool:
        if self._give_up.is_set():
            return True
        since = max(self._waited_for_since or time.monotonic(), state.start_time)
        return time.monotonic() - since > self.patience

    def _log_first_failure(self, state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            self._log(f"{state.outcome.exception()}; training continues, and what trials report is written later")

    def _log(self, line: str) -> None:
        with suppress(OSError):  # the terminal is gone
            self.log(line)
