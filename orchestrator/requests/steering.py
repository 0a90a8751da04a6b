"""What a launch does when it is asked for something while it runs."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from orchestrator.events import Event, Finished, Listener
from orchestrator.executors.contract import Executor
from orchestrator.requests.calls import Answer, Call, More, Rerun, Resize, StopLaunch, StopTrials
from orchestrator.requests.extension import Extension, Extensions
from orchestrator.requests.renewal import Renewal, TrialEnd
from orchestrator.spec import nearest
from orchestrator.system.durations import duration
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.meant import MOST_NAMED, listed, meant
from orchestrator.trials.record import Record

SHORTEST_ID = 4  # letters of one that might as well be a number

BY_HAND = "stopped by hand"  # the reason of a trial that ends so
SECONDS_TO_RENEW = 1.5  # that whoever asks waits for the store
TRAIN_LAST = "train in this launch, once all else of it has ended"


@dataclass(frozen=True)
class Steered:
    """A trial that may be asked for."""

    trial: Trial
    run_id: str

    @property
    def label(self) -> str:
        """Of the trial; that of the only configuration of a sweep is empty."""
        return self.trial.label or "the only configuration"

    @property
    def trial_key(self) -> str:
        """Of the trial."""
        return self.trial.trial_key


class Steering(Listener):
    """Knows which trials run and how others have ended, and what is asked of them.

    The thread that takes requests calls `answer`, and wakes the loop; the loop does what it finds then.

    Args:
        sweep: its name.
        interrupt: of the launch.
        log: gets a line for each request.
    """

    def __init__(self, sweep: str, interrupt: Interrupt, log: Callable[[str], None]) -> None:
        self.sweep, self.interrupt, self.log = sweep, interrupt, log
        self.run_ids: Callable[[], Mapping[str, str]] = dict  # by trial_key, as far as trials have a run
        self.epochs: int | None = None  # that the file asks for, where that is the same for all
        self.again: Callable[[Trial, Callable[[str], None]], None] = _refuse  # as `Recorder.again`
        self._lock = threading.RLock()
        self.extensions = Extensions(self._lock, self._tell)
        self.is_aside = False  # whether the launch is of other values than what the sweep's table is of
        self._known: dict[str, Trial] = {}  # by trial_key
        self._running: set[str] = set()
        self._ended: dict[str, TrialEnd] = {}
        self._renewing: dict[str, Renewal] = {}  # those that are to run anew, until the store knows of it
        self._renewed: list[Renewal] = []  # those of which the loop has yet to hear
        self._asked: set[str] = set()  # those that run and are to end
        self._stops: list[Trial] = []  # of these, those that the loop has yet to stop
        self._executor: Executor | None = None  # while trials can begin
        self._takes_more: Callable[[], bool] = lambda: False
        self._workers: int | None = None  # that were asked for, until the loop has heard of it
        self._asked_workers: int | None = None  # the same from then on
        self.is_paused = False

    def begin(self, trials: Iterable[Trial], history: Mapping[str, Record]) -> None:
        """Trials are known now, and what the store has of them, by trial_key."""
        with self._lock:
            self._known, self._ended = {}, {}
            for trial in trials:
                self._known[trial.trial_key] = trial
                record = history.get(trial.trial_key)
                if record and record.outcome and record.outcome.is_result:
                    self._ended[trial.trial_key] = TrialEnd.of(record.outcome, record.remark)

    @contextmanager
    def over(self, executor: Executor, takes_more: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """A context in which trials are given to an executor, for as long as the launch takes more."""
        with self._lock:
            self._executor, self._takes_more, self._workers = executor, takes_more, self._asked_workers
        try:
            yield
        finally:
            with self._lock:
                self._executor = None

    def closes(self) -> bool:
        """Whether no trial is to run anew, or to go on; then from now on none will be asked to, as the loop ends."""
        with self._lock:
            if self._renewing or self._renewed or self.extensions.are_recording:
                return False
            self._executor = None
            return True

    def is_waiting(self) -> bool:
        """Whether the loop has to wait until the store knows which trials are to run anew, or to go on."""
        with self._lock:
            return (bool(self._renewing) or self.extensions.are_recording) and not self._renewed

    def start(self, trial: Trial) -> None:
        """A trial is given to the executor."""
        with self._lock:
            self._known[trial.trial_key] = trial
            self._running.add(trial.trial_key)

    def take(self, trial: Trial, event: Event) -> None:
        """A trial reports something; its end is taken in."""
        if isinstance(event, Finished):
            with self._lock:
                self._running.discard(trial.trial_key)
                self._asked.discard(trial.trial_key)
                self._ended[trial.trial_key] = TrialEnd.of(event.outcome, event.why)

    def stops(self) -> list[Trial]:
        """The trials that are to end and still run, each once."""
        with self._lock:
            stops, self._stops = self._stops, []
            return [trial for trial in stops if trial.trial_key in self._running]

    def renewed(self) -> list[tuple[Trial, Outcome]]:
        """The trials that are to run anew, each once, and how they had ended."""
        with self._lock:
            renewed, self._renewed = self._renewed, []
            return [(renewal.trial, renewal.was.outcome) for renewal in renewed]

    def workers(self) -> int | None:
        """How many trials may run at once, where that has changed since the last call."""
        with self._lock:
            workers, self._workers = self._workers, None
            self.is_paused = self.is_paused if workers is None else workers == 0
            return workers

    def answer(self, call: Call) -> Answer:
        """Do what is asked, or have the loop do it. Called by the thread that takes requests."""
        match call:
            case StopTrials(trials):
                answer = self._stop(trials)
            case StopLaunch():
                answer = self._end()
            case Resize(workers):
                answer = self._resize(workers)
            case Rerun():
                answer = self._rerun(call)
            case More():
                answer = self._more(call)
        for line in answer.lines if answer.status == 0 else ():
            self._tell(line)
        self.interrupt.wake()
        return answer

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # the terminal is gone
            self.log(f"asked by hand: {line}")

    def _end(self) -> Answer:
        if self.interrupt.requested:
            return Answer((f"the launch of {self.sweep} is ending already",))
        self.interrupt.request()
        grace = duration(self.interrupt.grace)
        return Answer((f"the launch of {self.sweep} ends; running trials have {grace} to finish their epoch",))

    def _resize(self, workers: int) -> Answer:
        executor, sweep = self._executor, self.sweep
        if executor is None or self.interrupt.requested:
            return self._begins_nothing()
        most = executor.most_slots
        if most is not None and workers > most:
            return Answer((f"no more than {most} can run at once where {sweep} runs, by what each takes",), 2)
        with self._lock:
            self._workers = self._asked_workers = workers
            running = len(self._running)
        runs = "nothing runs" if not running else f"{running} run, and go on to their end"
        if workers == 0:
            return Answer((f"{sweep} is paused: {runs}; `sweep workers {sweep} N` goes on",))
        return Answer((f"{sweep} has {workers} at once from now on; {runs}",))

    def _begins_nothing(self) -> Answer:
        return Answer((f"no trial of {self.sweep} can begin now: its launch prepares, or is about to end",), 2)

    def _stop(self, names: Iterable[str]) -> Answer:
        with self._lock:
            found = self._found(names)
            if isinstance(found, Answer):
                return found
            if early := [one for one in found if one.trial_key not in self._running | self._ended.keys()]:
                return Answer(tuple(f"{one.label} has not begun; only what runs can be stopped" for one in early), 2)
            lines = []
            for one in found:
                key = one.trial_key
                if key in self._asked:
                    lines.append(f"{one.label} was asked to end already")
                elif key in self._running:
                    lines.append(f"{one.label} ends after its epoch, as pruned")
                    self._asked.add(key)
                    self._stops.append(one.trial)
                else:
                    lines.append(f"{one.label} has ended: {self._ended[key].said}")
            return Answer(tuple(lines))

    def _rerun(self, call: Rerun) -> Answer:
        """Have the store take trials that run anew, and the loop then begin them."""
        with self._lock:
            if self._executor is None or self.interrupt.requested or not self._takes_more():
                return self._begins_nothing()
            outcomes = [Outcome.FAILED] * call.failed + [Outcome.INFEASIBLE] * call.infeasible
            found = self._found(call.trials)
            if isinstance(found, Answer):
                return found
            if problems := [line for one in found if (line := self._unrenewable(one))]:
                return Answer(tuple(problems), 2)
            ended = [key for key, end in self._ended.items() if end.outcome in outcomes]
            keys = dict.fromkeys([*(one.trial_key for one in found), *ended])
            if not keys:
                return Answer((f"no trial of {self.sweep} is {' or '.join(outcomes)}",))
            longer = [key for key in keys if self._is_longer(key)]
            renewals = [self._renew(key) for key in keys if key not in longer]
            taken_back = self._take_back(longer) if longer else None
        until = time.monotonic() + SECONDS_TO_RENEW
        for renewal in renewals:
            renewal.is_done.wait(max(0.0, until - time.monotonic()))
        answer = Answer(tuple(renewal.line for renewal in renewals), 2 if any(one.why for one in renewals) else 0)
        if taken_back is None:
            return answer
        other = self.extensions.answer(taken_back, f"those that had more epochs {TRAIN_LAST}")
        return Answer((*answer.lines, *other.lines), max(answer.status, other.status))

    def _renew(self, trial_key: str) -> Renewal:
        """Have the store take a trial that runs anew, and the loop begin it then."""
        renewal = Renewal(self._known[trial_key], self._ended.pop(trial_key))
        self._renewing[trial_key] = renewal
        self.again(renewal.trial, partial(self._end_renewal, renewal))
        return renewal

    def _take_back(self, trial_keys: Sequence[str]) -> Extension:
        """Have the store take longer trials that run anew as those of the file, once all else has ended."""
        was = {key: self._ended.pop(key) for key in trial_keys}
        return self.extensions.begin(
            Rerun(tuple(was)), "the launch says which run anew", lambda: self._ended.update(was)
        )

    def _more(self, call: More) -> Answer:
        """Have the store take which trials are to go on, once what they have reported is there."""
        with self._lock:
            if self.is_aside:
                why = f"this launch is of other values than the table of {self.sweep}, or of further seeds"
                return Answer((f"{why}; ask for more epochs once it has ended",), 2)
            if self._executor is None or self.interrupt.requested:
                return self._begins_nothing()
            extension = self.extensions.begin(call, f"the launch says which trials are to have {call.epochs} epochs")
            then = TRAIN_LAST if self._takes_more() else "train with the next launch: this one begins no further trials"
        return self.extensions.answer(extension, f"they {then}")

    def _unrenewable(self, one: Steered) -> str:
        """Why a trial cannot run anew now; empty where it can."""
        if one.trial_key in self._running:
            return f"{one.label} runs; only what has ended runs anew: stop it first, with `sweep stop`"
        if one.trial_key in self._renewing:
            return f"{one.label} was asked to run anew already"
        return "" if one.trial_key in self._ended else f"{one.label} has yet to begin in this launch"

    def _is_longer(self, trial_key: str) -> bool:
        """Whether somebody has asked more epochs for a trial."""
        return self.epochs is not None and self._known[trial_key].params.get("epochs", self.epochs) != self.epochs

    def _end_renewal(self, renewal: Renewal, why: str) -> None:
        with self._lock:
            del self._renewing[renewal.trial.trial_key]
            if why:
                self._ended[renewal.trial.trial_key] = renewal.was
            else:
                self._renewed.append(renewal)
        renewal.end(why)
        self.interrupt.wake()

    def _found(self, names: Iterable[str]) -> list[Steered] | Answer:
        """The trials that are meant, each once; or why not all of them are known: then nothing is done."""
        run_ids = self.run_ids()
        known = [Steered(trial, run_ids.get(key, "")) for key, trial in self._known.items()]
        found: dict[str, Steered] = {}
        problems = []
        for name in names:
            these = meant(known, name)
            if name.isdecimal() and len(name) < SHORTEST_ID and name not in [one.label for one in these]:
                these = []  # as a number, by which other commands name a trial, it may be another one
            if len(these) == 1:
                found[these[0].trial_key] = these[0]
            elif these:
                called = f"{len(these)} trials of {self.sweep} are called {in_a_line(name)}"
                problems.append(f"{called}; name one of {listed([_called(one) for one in these])}")
            else:
                problems.append(f"{self.sweep} has no trial {in_a_line(name)}; {_hint(name, known, self._running)}")
        return Answer(tuple(problems), 2) if problems else [*found.values()]


def _refuse(trial: Trial, done: Callable[[str], None]) -> None:
    done("the launch prepares")


def _called(one: Steered) -> str:
    return f"{one.label} ({one.run_id or one.trial_key})"


def _hint(name: str, known: Iterable[Steered], running: set[str]) -> str:
    """What to call instead: the nearest, or what runs."""
    labels = [one.label for one in known]
    close = nearest(name, labels)
    if len(labels) <= MOST_NAMED or not close.startswith("use one of"):
        return close if labels else "none has begun yet"
    return f"running: {listed([one.label for one in known if one.trial_key in running]) or 'none'}"
