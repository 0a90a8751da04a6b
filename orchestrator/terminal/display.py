"""What a person sees while a sweep runs: a live view on a terminal, plain lines elsewhere, or nothing."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from orchestrator import events
from orchestrator.durations import duration
from orchestrator.events import Event, Finished
from orchestrator.trial import Outcome, Trial

LOSSES = ("train_loss", "loss", "val_loss")
RATE = "images_per_second"
SECONDS_BETWEEN_LINES = 5.0  # of one trial, where lines are printed
STYLES = {
    Outcome.COMPLETED: "green",
    Outcome.EXPLODED: "bold red",
    Outcome.PRUNED: "yellow",
    Outcome.FAILED: "bold white on red",
    Outcome.INTERRUPTED: "yellow",
}


class Display(Protocol):
    """Told of everything that happens in a sweep."""

    def say(self, message: str) -> None:
        """A step of the launch itself."""

    def live(self, total: int, done: int) -> AbstractContextManager[None]:
        """The time in which trials run: how many the sweep has, how many had their result before."""

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker."""

    def show(self, trial: Trial, event: Event) -> None:
        """A trial has told something."""


@dataclass
class Running:
    """A trial that runs: how far it is."""

    trial: Trial
    started: float = field(default_factory=time.monotonic)
    epoch: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    printed: float = -SECONDS_BETWEEN_LINES

    @property
    def epochs(self) -> int | None:
        """How many epochs it will take, if its config says so."""
        epochs = self.trial.params.get("epochs")
        return epochs if isinstance(epochs, int) else None

    @property
    def loss(self) -> str:
        value = next((self.metrics[name] for name in LOSSES if name in self.metrics), None)
        return "" if value is None else f"{value:.5g}"

    @property
    def rate(self) -> str:
        return f"{self.metrics[RATE]:,.0f}/s" if RATE in self.metrics else ""

    @property
    def left(self) -> str:
        if not (self.epochs and self.epoch):
            return ""
        elapsed = time.monotonic() - self.started
        return duration(elapsed / self.epoch * (self.epochs - self.epoch))

    @property
    def progress(self) -> str:
        return f"{self.epoch}/{self.epochs}" if self.epochs else str(self.epoch)


class QuietDisplay:
    """Says nothing."""

    def say(self, message: str) -> None: ...

    @contextmanager
    def live(self, total: int, done: int) -> Iterator[None]:
        yield

    def start(self, trial: Trial) -> None: ...

    def show(self, trial: Trial, event: Event) -> None: ...


class PlainDisplay:
    """Lines with the time of day, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._running: dict[str, Running] = {}
        self._total = self._done = 0

    def say(self, message: str) -> None:
        self.console.print(f"{time.strftime('%H:%M:%S')} {message}", soft_wrap=True, markup=False, highlight=False)

    @contextmanager
    def live(self, total: int, done: int) -> Iterator[None]:
        self._total, self._done = total, done
        self.say(f"{total} trials, {done} of them finished before")
        yield

    def start(self, trial: Trial) -> None:
        self._running[trial.trial_key] = Running(trial)

    def show(self, trial: Trial, event: Event) -> None:
        running = self._running[trial.trial_key]
        match event:
            case events.Started():
                self.say(f"{trial.label}: started, process {event.pid}")
            case events.Progress():
                running.epoch, running.metrics = event.epoch, event.metrics
                if time.monotonic() - running.printed >= SECONDS_BETWEEN_LINES:
                    running.printed = time.monotonic()
                    told = {"loss": running.loss, "rate": running.rate, "left": running.left}
                    facts = ", ".join(f"{name} {value}" for name, value in told.items() if value)
                    self.say(f"{trial.label}: epoch {running.progress}, {facts}")
            case Finished():
                del self._running[trial.trial_key]
                self._done += event.outcome.is_result
                self.say(f"{trial.label}: {ending(event)} [{self._done}/{self._total}]")


class LiveDisplay:
    """A row for each running trial and a bar for the whole sweep, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._running: dict[str, Running] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}/{task.total:.0f} trials"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._done = 0

    def say(self, message: str) -> None:
        self.console.print(Text(message, style="dim"))

    @contextmanager
    def live(self, total: int, done: int) -> Iterator[None]:
        self._done = done
        self._task = self._bar.add_task("sweep", total=total, completed=done, done=done)
        with Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True):
            yield

    def start(self, trial: Trial) -> None:
        self._running[trial.trial_key] = Running(trial)

    def show(self, trial: Trial, event: Event) -> None:
        running = self._running[trial.trial_key]
        match event:
            case events.Progress():
                running.epoch, running.metrics = event.epoch, event.metrics
            case Finished():
                del self._running[trial.trial_key]
                self._done += event.outcome.is_result
                self.console.print(
                    f"[{STYLES[event.outcome]}]{event.outcome}[/] {escape(trial.label)} "
                    f"[dim]{escape(ending(event).removeprefix(event.outcome).removeprefix(': '))}[/]"
                )

    def _render(self) -> RenderableType:
        shares = (r.epoch / r.epochs for r in list(self._running.values()) if r.epochs)
        self._bar.update(self._task, completed=self._done + sum(shares), done=self._done)
        table = Table(box=None, pad_edge=False)
        for title in ("trial", "epoch", "loss", "rate", "left"):
            table.add_column(title, justify="left" if title == "trial" else "right", header_style="dim")
        for running in list(self._running.values()):
            told = (running.progress, running.loss, running.rate, running.left)
            table.add_row(Text(running.trial.label), *(Text(text) for text in told))
        return Group(table, self._bar) if self._running else self._bar


def ending(event: Finished) -> str:
    """How a trial ended, in a line."""
    why = event.explosion.reason if event.explosion else event.reason or event.diagnosis
    return f"{event.outcome}: {why}" if why else str(event.outcome)
