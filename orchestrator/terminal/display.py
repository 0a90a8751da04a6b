"""What a person sees while a sweep runs: a live view on a terminal or in a notebook, plain lines elsewhere, nothing."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.text import Text

from orchestrator import events
from orchestrator.events import Event, Finished, Heartbeat, Listener
from orchestrator.places import Places
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.quick import QuickTrials
from orchestrator.spec import SweepSpec
from orchestrator.system.durations import UNTIL_STOPPED
from orchestrator.system.figures import numbered
from orchestrator.terminal.consoles import is_ascii_only, print_timed, warn
from orchestrator.terminal.frame import Frame
from orchestrator.terminal.notebook import NotebookFrame, is_notebook
from orchestrator.terminal.view import STYLES, awaited, counted, facts, in_words, view
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import METRICS_FROM, Record

SECONDS_BETWEEN_LINES = 5.0  # of one trial, where lines are printed
SECONDS_BETWEEN_SUMMARIES = 30.0
SECONDS_BETWEEN_FRAMES = 0.25


class Display(Listener):
    """Follows everything that happens in a sweep. This class prints nothing but warnings."""

    def __init__(self, progress: LiveProgress) -> None:
        self.progress = progress
        self.quick = QuickTrials()
        self._said: set[str] = set()

    def log(self, message: str) -> None:
        """A step of the launch itself."""

    def warn(self, message: str) -> None:
        """What a person has to know, also who has asked for the result alone."""
        warn(message)

    def begin(self, total: int | None, trials: Iterable[Trial], history: Mapping[str, Record]) -> None:
        """A launch begins; as `LiveProgress.begin`."""
        self.progress.begin(total, trials, history)

    @contextmanager
    def live(self) -> Iterator[None]:
        """The time in which trials run."""
        yield

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker."""
        self.progress.start(trial)
        self.quick.start(trial)

    def renew(self, trial: Trial, was: Outcome) -> None:
        """A trial that had ended so is to run anew."""
        self.progress.renew(trial, was)

    def recall(self, trial: Trial, event: Event) -> None:
        """A trial that is resumed had reported this before."""
        self.progress.recall(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        """A trial reports something."""
        self.progress.take(trial, event)
        if isinstance(event, events.Tagged) and (where := event.tags.get(METRICS_FROM)) and where not in self._said:
            self._said.add(where)  # of all trials of a sweep once
            self.log(where)

    def heartbeat(self, trial: Trial, heartbeat: Heartbeat) -> None:
        """A trial has made a step."""
        self.progress.heartbeat(trial, heartbeat)

    def _value(self, trial: Trial, event: Finished) -> str:
        """What a trial that has just ended is compared by: "score 0.9"; empty where it has no value."""
        latest = self.progress.latest
        if latest is None or latest.params != trial.params or event.outcome is not Outcome.COMPLETED:
            return ""
        return f"{latest.objective.name} {latest.value:.5g}"

    def take_workers(self, workers: int) -> None:
        """Somebody has asked for so many trials at once; 0 pauses the sweep."""
        self.progress.take_workers(workers)

    def take_places(self, places: Places) -> None:
        """Places for trials have come or gone."""
        self.progress.take_places(places)


class PlainDisplay(Display):
    """Lines with the time of day, for logs and pipes."""

    def __init__(self, progress: LiveProgress, console: Console) -> None:
        super().__init__(progress)
        self.console = console
        self._said_of_places = ""
        self._printed: dict[str, float] = {}  # when a trial's last epoch was, by trial_key
        self._summed_up = time.monotonic()

    def log(self, message: str) -> None:
        print_timed(self.console, message)

    def warn(self, message: str) -> None:
        self.log(message)

    def take_places(self, places: Places) -> None:
        super().take_places(places)
        said, self._said_of_places = self._said_of_places, awaited(places) if places.awaited else ""
        if self._said_of_places not in ("", said):
            self.log(self._said_of_places)

    @contextmanager
    def live(self) -> Iterator[None]:
        status = self.progress.status()
        asked = f"trials {UNTIL_STOPPED}" if status.asked is None else numbered(status.asked)
        self.log(f"{asked}, {status.results} of them already finished")
        try:
            yield
        finally:
            self._log_quick_trials(at_once=True)

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        match event:
            case events.Started() if self.quick.are_many:
                self._printed[trial.trial_key] = time.monotonic()
            case events.Started():
                self.log(f"{trial.label}: started, process {event.pid}")
            case events.Progress():
                if self._is_due(self._printed.get(trial.trial_key), SECONDS_BETWEEN_LINES):
                    self._printed[trial.trial_key] = time.monotonic()
                    self.log(f"{trial.label}: {in_words(self.progress.running(trial))}")
            case Finished():
                self._printed.pop(trial.trial_key, None)
                if not self.quick.end(trial, event):
                    self._log_quick_trials(at_once=True)
                    how = ending(event, self._value(trial, event))
                    self.log(f"{trial.label}: {how} [{counted(self.progress.status())}]")
        self._log_quick_trials()
        if self._is_due(self._summed_up, SECONDS_BETWEEN_SUMMARIES):
            self._summed_up = time.monotonic()
            self.log(", ".join(fact.plain for fact in facts(self.progress.status())))

    def _log_quick_trials(self, *, at_once: bool = False) -> None:
        if line := self.quick.line(at_once=at_once):
            self.log(f"{line} [{counted(self.progress.status())}]")

    def _is_due(self, last: float | None, seconds: float) -> bool:
        return last is None or time.monotonic() - last >= seconds


class LiveDisplay(Display):
    """A view of the sweep, drawn anew in place a few times a second, however much happens in between."""

    def __init__(self, progress: LiveProgress, console: Console, frame: Frame | NotebookFrame) -> None:
        super().__init__(progress)
        self.console = console
        self._frame = frame
        self._is_live = False
        self._messages: queue.SimpleQueue[Text] = queue.SimpleQueue()  # for the next frame

    def log(self, message: str) -> None:
        self._print(Text(message, style="dim"))

    def warn(self, message: str) -> None:
        self._print(Text(message))

    @contextmanager
    def live(self) -> Iterator[None]:
        with self._frame as frame:
            ended = threading.Event()
            drawing = threading.Thread(target=self._draw, args=(frame, ended), name="display", daemon=True)
            self._is_live = True
            drawing.start()
            try:
                yield
            finally:
                self._print_quick_trials(at_once=True)
                ended.set()
                drawing.join()
                self._is_live = False
                with suppress(OSError):
                    self._draw_once(frame)

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        if isinstance(event, Finished) and not self.quick.end(trial, event):
            self._print_quick_trials(at_once=True)
            value = f" {value}:" if (value := self._value(trial, event)) else ""
            outcome = (event.outcome, STYLES[event.outcome])
            ended = Text.assemble(outcome, value, " ", trial.label, " ", (event.why, "dim"))
            ended.rstrip()
            self._print(ended)
        self._print_quick_trials()

    def _print_quick_trials(self, *, at_once: bool = False) -> None:
        if line := self.quick.line(at_once=at_once):
            self._print(Text(line, style="dim"))

    def _print(self, line: Text) -> None:
        if self._is_live:
            self._messages.put(line)
        else:
            self.console.print(line)

    def _draw(self, frame: Frame | NotebookFrame, ended: threading.Event) -> None:
        with suppress(OSError):  # the terminal is gone
            while not ended.wait(SECONDS_BETWEEN_FRAMES):
                self._draw_once(frame)

    def _draw_once(self, frame: Frame | NotebookFrame) -> None:
        plain = is_ascii_only(self.console)
        messages = [self._messages.get() for _ in range(self._messages.qsize())]
        frame.draw(lambda width, height: view(self.progress.status(), width, height, plain=plain), messages)


def display_for(spec: SweepSpec, console: Console, quiet: bool) -> Display:
    """The display of a launch: silent where `quiet`, live in a notebook and where the console is interactive."""
    progress = LiveProgress(spec.name, next(iter(spec.objectives), None), spec.function.declaration)
    if quiet:
        return Display(progress)
    if is_notebook():
        return LiveDisplay(progress, console, NotebookFrame())
    if console.is_interactive:
        return LiveDisplay(progress, console, Frame(console))
    return PlainDisplay(progress, console)


def ending(event: Finished, value: str = "") -> str:
    """How a trial ended, and with which value, in a line."""
    how = f"{event.outcome} {value}".rstrip()
    return f"{how}: {event.why}" if event.why else how
