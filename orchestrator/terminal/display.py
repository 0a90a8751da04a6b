"""What a person sees while a sweep runs: a live view on a terminal, plain lines elsewhere, or nothing."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.text import Text

from orchestrator import events
from orchestrator.events import Event, Finished, Heartbeat, Listener
from orchestrator.progress.live import LiveProgress
from orchestrator.spec import SweepSpec
from orchestrator.terminal.consoles import has_ascii_alone, say
from orchestrator.terminal.frame import Frame
from orchestrator.terminal.view import STYLES, facts, in_words, view
from orchestrator.trial import Trial
from orchestrator.trials.record import Record

SECONDS_BETWEEN_LINES = 5.0  # of one trial, where lines are printed
SECONDS_BETWEEN_SUMMARIES = 30.0
SECONDS_BETWEEN_FRAMES = 0.25


class Display(Listener):
    """Hears everything that happens in a sweep, of which it keeps the course. This one says nothing of it."""

    def __init__(self, course: LiveProgress) -> None:
        self.course = course

    def say(self, message: str) -> None:
        """A step of the launch itself."""

    def begin(self, total: int, trials: Iterable[Trial], history: Mapping[str, Record]) -> None:
        """A launch begins; as `LiveProgress.begin`."""
        self.course.begin(total, trials, history)

    @contextmanager
    def live(self) -> Iterator[None]:
        """The time in which trials run."""
        yield

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker."""
        self.course.start(trial)

    def recall(self, trial: Trial, event: Event) -> None:
        """A trial that is taken up again had reported this before."""
        self.course.recall(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        """A trial reports something."""
        self.course.take(trial, event)

    def beat(self, trial: Trial, beat: Heartbeat) -> None:
        """A trial has made a step."""
        self.course.beat(trial, beat)


class PlainDisplay(Display):
    """Lines with the time of day, for logs and pipes."""

    def __init__(self, course: LiveProgress, console: Console) -> None:
        super().__init__(course)
        self.console = console
        self._printed: dict[str, float] = {}  # when a trial's last epoch was, by trial_key
        self._summed_up = time.monotonic()

    def say(self, message: str) -> None:
        say(self.console, message)

    @contextmanager
    def live(self) -> Iterator[None]:
        status = self.course.status()
        self.say(f"{status.asked} trials, {status.results} of them finished before")
        yield

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        match event:
            case events.Started():
                self.say(f"{trial.label}: started, process {event.pid}")
            case events.Progress():
                if self._is_due(self._printed.get(trial.trial_key), SECONDS_BETWEEN_LINES):
                    self._printed[trial.trial_key] = time.monotonic()
                    self.say(f"{trial.label}: {in_words(self.course.running(trial))}")
            case Finished():
                self._printed.pop(trial.trial_key, None)
                status = self.course.status()
                self.say(f"{trial.label}: {ending(event)} [{status.results}/{status.asked}]")
        if self._is_due(self._summed_up, SECONDS_BETWEEN_SUMMARIES):
            self._summed_up = time.monotonic()
            self.say(", ".join(fact.plain for fact in facts(self.course.status())))

    def _is_due(self, last: float | None, seconds: float) -> bool:
        return last is None or time.monotonic() - last >= seconds


class LiveDisplay(Display):
    """A view of the sweep, drawn anew in place a few times a second, however much happens in between."""

    def __init__(self, course: LiveProgress, console: Console) -> None:
        super().__init__(course)
        self.console = console
        self._is_live = False
        self._said: queue.SimpleQueue[Text] = queue.SimpleQueue()  # for the next frame

    def say(self, message: str) -> None:
        self._print(Text(message, style="dim"))

    @contextmanager
    def live(self) -> Iterator[None]:
        with Frame(self.console) as frame:
            ended = threading.Event()
            drawing = threading.Thread(target=self._draw, args=(frame, ended), name="display", daemon=True)
            self._is_live = True
            drawing.start()
            try:
                yield
            finally:
                ended.set()
                drawing.join()
                self._is_live = False
                with suppress(OSError):
                    self._draw_once(frame)

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        if isinstance(event, Finished):
            ended = Text.assemble((event.outcome, STYLES[event.outcome]), " ", trial.label, " ", (_why(event), "dim"))
            ended.rstrip()
            self._print(ended)

    def _print(self, line: Text) -> None:
        if self._is_live:
            self._said.put(line)
        else:
            self.console.print(line)

    def _draw(self, frame: Frame, ended: threading.Event) -> None:
        with suppress(OSError):  # the terminal is gone
            while not ended.wait(SECONDS_BETWEEN_FRAMES):
                self._draw_once(frame)

    def _draw_once(self, frame: Frame) -> None:
        plain = has_ascii_alone(self.console)
        said = [self._said.get() for _ in range(self._said.qsize())]
        frame.draw(lambda width, height: view(self.course.status(), width, height, plain=plain), said)


def display_for(spec: SweepSpec, console: Console, quiet: bool) -> Display:
    """The display of a launch: silent where it is to be quiet, live where something can be drawn anew."""
    course = LiveProgress(spec.name, next(iter(spec.objectives), None), spec.function.declaration)
    if quiet:
        return Display(course)
    return LiveDisplay(course, console) if console.is_interactive else PlainDisplay(course, console)


def ending(event: Finished) -> str:
    """How a trial ended, in a line."""
    why = _why(event)
    return f"{event.outcome}: {why}" if why else str(event.outcome)


def _why(event: Finished) -> str:
    return event.explosion.reason if event.explosion else event.reason or event.diagnosis or ""
