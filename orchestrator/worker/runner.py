"""An attempt at a trial, or at several at once, in this process: iterate the function and say what happens.

Knows nothing of MLflow or YAML, nor of the process it is in.
"""

import inspect
import os
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from orchestrator import functions
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Started
from orchestrator.functions import TrialFunction
from orchestrator.system import machine
from orchestrator.trial import Params
from orchestrator.worker.reporter import Reporter, Yielded, said, show

NOTHING: Mapping[int, str] = {}
Round = list[tuple[int, Event]]  # what happens at a time, each with the place of its task
Raised = Callable[[BaseException], None]
OnStep = Callable[[int, int, float], None]  # is given the place of a task, its step, and the loss of that
Rounds = Generator[Sequence[Yielded], None, Sequence[Any]]  # by epoch, and in the end, something for each trial


@dataclass(frozen=True)
class Task:
    """A trial as a worker sees it."""

    function: str
    params: Params
    workdir: Path
    divergence: DivergenceRule
    threads: int | None = None  # None leaves the worker's
    place: int = 0  # in a stack


def _unheard(place: int, step: int, loss: float) -> None: ...


def run(
    task: Task, width: int = 1, beat: OnStep = _unheard, stops: Mapping[int, str] = NOTHING, raised: Raised = show
) -> Generator[Event, None, None]:
    """Run a trial by itself, or go on with it; yields Started, Progress for each epoch, and Finished, whatever happens.

    With a width above 1 it is computed as a row of a stack of that width. `stops` is that of `run_stack`.
    """
    with closing(run_stack([task], width, beat, stops, raised)) as rounds:
        for events in rounds:
            for _, event in events:
                yield event


def run_stack(
    tasks: Sequence[Task],
    width: int,
    beat: OnStep = _unheard,
    stops: Mapping[int, str] = NOTHING,
    raised: Raised = show,
) -> Generator[Round, None, None]:
    """Run trials together, or go on with them; yields what `run` yields of each, epoch by epoch.

    All of an epoch stands in the journals before any of it is yielded, and the trials go on after that: whoever stops
    in between leaves no checkpoint of an epoch that its journal lacks.

    Args:
        tasks: of one function and number of threads, of parameters that go together, each with a place of its own; a
            single one where width is 1.
        width: how many rows the function is to compute with; 1 runs the function itself, not what it has for stacks.
        beat: called at each step that the function tells of.
        stops: why trials are to end after what they have told last, by their place among the tasks; looked at before
            they begin, and after each round.
        raised: given what ends the function, also where that is an explosion.
    """
    attempts = [_Attempt(task, partial(beat, row)) for row, task in enumerate(tasks)]
    first = [(row, event) for row, attempt in enumerate(attempts) for event in attempt.begin(stops.get(row))]
    yield first
    ended = {row for row, event in first if event.is_final}
    begun = {row: attempt for row, attempt in enumerate(attempts) if row not in ended}
    with _closed(_training([*begun.values()], width)) as training:
        yield from _epochs(begun, training, stops, raised)
    yield [(row, attempt.tell_end()) for row, attempt in begun.items() if not attempt.has_told_end]


def prepare(function: str, configs: Sequence[Params]) -> str | None:
    """Let the function have its data at hand; returns what is wrong with them, or None."""
    try:
        known = _resolved(function)
        for params in configs if known.prepare else ():
            known.prepare(known.found.config(params))  # type: ignore[misc]
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return f"{function} cannot be used: {said(error)}"
    return None


@dataclass(frozen=True)
class _Resolved:
    """A trial function, imported, and what belongs to it."""

    call: Callable[..., Any]
    found: TrialFunction

    @cached_property
    def prepare(self) -> Callable[..., Any] | None:
        return functions.attached(self.found, "prepare")

    @cached_property
    def stacked(self) -> Callable[..., Any] | None:
        return functions.attached(self.found, "stacked")


_known: dict[str, _Resolved] = {}  # by name


def _resolved(name: str) -> _Resolved:
    """The trial function, found once for all attempts of this process, since its source is parsed for that."""
    call = functions.load(name)
    if name not in _known or _known[name].call is not call:  # its module may have been imported anew
        _known[name] = _Resolved(call, functions.find(name))
    return _known[name]


class _Attempt(Reporter):
    def __init__(self, task: Task, beat: Callable[[int, float], None]) -> None:
        super().__init__(task.workdir, task.divergence, beat)
        self.task = task

    def begin(self, stop: str | None) -> list[Event]:
        """Make everything ready; all up to the end where nothing is to run."""
        if self.known and self.known[-1].is_final:  # its process died before it could tell
            return self.known
        if stop is not None:
            self.prune(stop)
            return [self.tell_end()]
        try:
            if self.task.threads is not None:
                machine.limit_threads(self.task.threads)
            self.function = _resolved(self.task.function)
            self.config = self.function.found.config(self.task.params)
            self.watcher.declaration = self.function.found.declaration
            prepare = self.function.prepare
            dataset = _dataset(prepare(self.config) if prepare else None)
        except (Exception, SystemExit) as error:
            self.fail(error)
            return [self.tell_end()]
        return [self.tell(Started(os.getpid(), machine.threads(), dataset))]


def _epochs(
    attempts: Mapping[int, _Attempt], training: Rounds, stops: Mapping[int, str], raised: Raised
) -> Generator[Round, None, None]:
    """Train until each attempt has its end."""
    try:
        while any(attempt.end is None for attempt in attempts.values()):
            try:
                told = next(training)
            except StopIteration as stop:
                for attempt, result in zip(attempts.values(), stop.value, strict=True):
                    attempt.finish(result)
                return
            rows = zip(attempts.items(), told, strict=True)
            yield [(row, event) for (row, attempt), what in rows for event in attempt.take(what)]
            for row in stops.keys() & attempts.keys():
                attempts[row].prune(stops[row])
    except (Exception, SystemExit) as error:
        raised(error)
        for attempt in attempts.values():
            attempt.end_with(error)


def _training(attempts: Sequence[_Attempt], width: int) -> Rounds:
    """The attempts' function at work: for each of them what it yields by epoch, and what it returns."""
    first = attempts[0]
    if width == 1:
        alone = _called(first.function.call, first.config, workdir=first.workdir, watch=first.watch)
        return [(yield from _alone(alone))]
    stacked = first.function.stacked
    if stacked is None:
        raise TypeError(f"{first.task.function} declares no function that trains several trials at once")
    together: Rounds = _called(
        stacked,
        [attempt.config for attempt in attempts],
        workdirs=[attempt.workdir for attempt in attempts],
        watches=[attempt.watch for attempt in attempts],
        places=[attempt.task.place for attempt in attempts],
        width=width,
    )
    return (yield from together)


def _called(function: Callable[..., Any], configs: Any, **offered: Any) -> Any:
    named = inspect.signature(function).parameters
    return function(configs, **{name: value for name, value in offered.items() if name in named})


def _alone(result: Any) -> Generator[Sequence[Yielded], None, Any]:
    """What a trial function has returned, as a training of one; returns the final metrics."""
    if not isinstance(result, Generator):
        return result
    with closing(result):
        while True:
            try:
                metrics = next(result)
            except StopIteration as stop:
                return stop.value
            if not isinstance(metrics, Mapping):
                raise TypeError(f"the trial function yielded {metrics!r}, not a mapping of metrics")
            yield [metrics]


def _dataset(told: Any) -> dict[str, str | int] | None:
    if not isinstance(told, Mapping):
        return None
    return {str(name): value if isinstance(value, int) else str(value) for name, value in told.items()}


@contextmanager
def _closed(training: Rounds) -> Iterator[Rounds]:
    """As contextlib.closing, but what a function raises while it is closed ends nothing but itself."""
    try:
        yield training
    finally:
        try:
            training.close()
        except Exception:
            traceback.print_exc()
