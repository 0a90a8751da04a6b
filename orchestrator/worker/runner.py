"""An attempt at a trial, or at several at once, in this process: iterate the function and report its events.

Knows nothing of MLflow or YAML, nor of the process it is in.
"""

import inspect
import os
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from orchestrator import functions
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Points, Restarted, Started, Tagged
from orchestrator.functions import UNDECLARED, Declaration, TrialFunction
from orchestrator.functions.call_form import ASYNC
from orchestrator.infeasible import Infeasible
from orchestrator.programs import running
from orchestrator.programs.program import Program
from orchestrator.system import machine, torch_builds
from orchestrator.trial import Params
from orchestrator.worker import callback
from orchestrator.worker.endings import error_line, is_of_person, print_traceback
from orchestrator.worker.forking import OneProcess
from orchestrator.worker.reporter import Reporter, Yielded

NOTHING: Mapping[int, str] = {}
Round = list[tuple[int, Event]]  # events of one epoch, with the place of their task
OnError = Callable[[BaseException], None]
OnStep = Callable[[int, int, float], None]  # is called with the place of a task, its step, and the loss of that step
Rounds = Generator[Sequence[Yielded], None, Sequence[Any]]  # by epoch, and in the end, a value for each trial


@dataclass(frozen=True)
class Task:
    """A trial as a worker sees it."""

    function: str
    params: Params
    workdir: Path
    divergence: DivergenceRule
    threads: int | None = None  # None leaves the worker's
    place: int = 0  # in a stack
    program: Program | None = None  # what to run in place of a function
    maximized: tuple[str, ...] = ()  # metrics of which more is better, so that they are no losses


def _ignore_step(place: int, step: int, loss: float) -> None: ...


def run(
    task: Task,
    width: int = 1,
    on_step: OnStep = _ignore_step,
    stops: Mapping[int, str] = NOTHING,
    on_error: OnError = print_traceback,
) -> Generator[Event, None, None]:
    """Run a trial by itself, or resume it; yields Started, Progress for each epoch, and Finished, whatever happens.

    With a width above 1 it is computed as a row of a stack of that width. `stops` is that of `run_stack`.
    """
    with closing(run_stack([task], width, on_step, stops, on_error)) as rounds:
        for events in rounds:
            for _, event in events:
                yield event


def run_stack(
    tasks: Sequence[Task],
    width: int,
    on_step: OnStep = _ignore_step,
    stops: Mapping[int, str] = NOTHING,
    on_error: OnError = print_traceback,
) -> Generator[Round, None, None]:
    """Run trials together, or resume them; yields what `run` yields of each, epoch by epoch.

    All events of an epoch are in the journals before any is yielded, and the trials continue after that: whoever stops
    in between leaves no checkpoint of an epoch that its journal lacks.

    Args:
        tasks: of one function and number of threads, of parameters that go together, each with a place of its own; a
            single one where width is 1.
        width: how many rows the function is to compute with; 1 runs the function itself, not its `stacked`.
        on_step: called at each step that the function reports.
        stops: why trials are to end after their last reported epoch, by their place among the tasks; read before they
            begin, and after each round.
        on_error: called with the exception that ends the function, also where that is an explosion.
    """
    attempts = [_Attempt(task, partial(on_step, row)) for row, task in enumerate(tasks)]
    first = [(row, event) for row, attempt in enumerate(attempts) for event in attempt.begin(stops.get(row))]
    yield first
    ended = {row for row, event in first if event.is_final}
    begun = {row: attempt for row, attempt in enumerate(attempts) if row not in ended}
    with _closed(_training([*begun.values()], width)) as training:
        yield from _epochs(begun, training, stops, on_error)
    yield [(row, attempt.record_end()) for row, attempt in begun.items() if not attempt.has_recorded_end]


def load(function: str) -> None:
    """Import a trial function and what belongs to it, which may take seconds; `prepare` reports an error."""
    with suppress(BaseException):
        known = _resolved(function)
        _ = known.prepare, known.stacked, known.found.validator


def prepare(function: str, configs: Sequence[Params]) -> str | None:
    """Have the function prepare its data; returns what is wrong with them, or None."""
    try:
        known = _resolved(function)
        for params in configs if known.prepare else ():
            with OneProcess(), suppress(Infeasible):  # of which its trial tells
                known.prepare(known.config(params))  # type: ignore[misc]
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    except BaseException as error:
        if is_of_person(error):
            raise
        if isinstance(error, ModuleNotFoundError) and functions.is_default(function):
            what = f"'{functions.DEFAULT_TRIAL_EXTRA}'{torch_builds.option()}"
            return f"the default trial needs {error.name}: pip install {what}"
        traceback.print_exc()
        return f"{function} cannot be used: {error_line(error)}"
    return None


@dataclass(frozen=True)
class _ResolvedProgram:
    """A program, as if it were a trial function."""

    program: Program
    declaration: Declaration = UNDECLARED
    prepare: None = None
    stacked: None = None

    def config(self, params: Params) -> Params:
        return params

    def bound(self, config: Params) -> Callable[..., Any]:
        return partial(running.run, self.program, config)


@dataclass(frozen=True)
class _Resolved:
    """A trial function, imported, and what belongs to it."""

    call: Callable[..., Any]
    found: TrialFunction

    @property
    def declaration(self) -> Declaration:
        return self.found.declaration

    def config(self, params: Params) -> Any:
        return self.found.config(params)

    def bound(self, config: Any) -> Callable[..., Any]:
        return self.found.form.bound(self.call, config)

    @cached_property
    def prepare(self) -> Callable[[Any], Any] | None:
        prepare = functions.attached(self.found, "prepare")
        return None if prepare is None else partial(self.found.form.prepared, prepare)

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
    def __init__(self, task: Task, on_step: Callable[[int, float], None]) -> None:
        super().__init__(task.workdir, task.divergence, on_step, task.maximized, is_program=task.program is not None)
        self.task = task

    def begin(self, stop: str | None) -> list[Event]:
        """Prepare the attempt; returns its first events, which are all where nothing is to run."""
        if self.journaled and self.journaled[-1].is_final:  # its process died before it could send its end
            return self.journaled
        self.recall_end()
        if self.end is not None:
            return [self.record_end()]
        if stop is not None:
            self.prune(stop)
            return [self.record_end()]
        try:
            if self.task.threads is not None:
                machine.limit_threads(self.task.threads)
            program = self.task.program
            self.function = _resolved(self.task.function) if program is None else _ResolvedProgram(program)
            self.config = self.function.config(self.task.params)
            self.monitor.declaration = self.function.declaration
            prepare = self.function.prepare
            with OneProcess():
                dataset = _dataset(prepare(self.config) if prepare else None)
        except BaseException as error:
            if is_of_person(error):
                raise
            self.fail(error)
            return [self.record_end()]
        return [self.record(Started(os.getpid(), machine.threads(), dataset))]


def _epochs(
    attempts: Mapping[int, _Attempt], training: Rounds, stops: Mapping[int, str], on_error: OnError
) -> Generator[Round, None, None]:
    """Train until each attempt has its end."""
    while any(attempt.end is None for attempt in attempts.values()):
        try:
            events = _next(attempts, training)
        except BaseException as error:
            if is_of_person(error):
                raise
            on_error(error)
            for attempt in attempts.values():
                attempt.end_with(error)
            return
        if events is None:
            return
        yield events
        for row in stops.keys() & attempts.keys():
            attempts[row].prune(stops[row])


def _next(attempts: Mapping[int, _Attempt], training: Rounds) -> Round | None:
    """The events of the next epoch; None once the function has returned."""
    try:
        with OneProcess():
            yielded = next(training)
    except StopIteration as stop:
        for attempt, result in zip(attempts.values(), stop.value, strict=True):
            attempt.finish(result)
        return None
    rows = zip(attempts.items(), yielded, strict=True)
    return [(row, event) for (row, attempt), epoch in rows for event in attempt.take(epoch)]


def _training(attempts: Sequence[_Attempt], width: int) -> Rounds:
    """Run the function of the attempts: for each attempt what it yields by epoch, and what it returns."""
    first = attempts[0]
    if width == 1:
        bound = first.function.bound(first.config)
        call = partial(_call, bound, workdir=first.workdir, watch=first.watch)
        takes_report = "report" in inspect.signature(bound).parameters
        return [(yield from _unstacked(callback.iterate(call) if takes_report else call()))]
    stacked = first.function.stacked
    if stacked is None:
        raise TypeError(f"{first.task.function} does not declare a function that trains several trials at once")
    together: Rounds = _call(
        partial(stacked, [attempt.config for attempt in attempts]),
        workdirs=[attempt.workdir for attempt in attempts],
        watches=[attempt.watch for attempt in attempts],
        places=[attempt.task.place for attempt in attempts],
        width=width,
    )
    return (yield from together)


def _call(function: Callable[..., Any], **offered: Any) -> Any:
    named = inspect.signature(function).parameters
    return function(**{name: value for name, value in offered.items() if name in named})


def _unstacked(result: Any) -> Generator[Sequence[Yielded], None, Any]:
    """What a trial function has returned, as the training of a single trial; returns the final metrics.

    A program yields None where there is nothing for a moment, so that an interrupt is seen meanwhile.
    """
    if isinstance(result, Coroutine | AsyncGenerator):
        raise TypeError(f"the trial function {ASYNC}")
    if not isinstance(result, Generator):
        return result
    with closing(result):
        while True:
            try:
                metrics = next(result)
            except StopIteration as stop:
                return stop.value
            if not isinstance(metrics, Mapping | Points | Tagged | Restarted | None):
                raise TypeError(f"the trial function yielded {metrics!r}, not a mapping of metrics")
            yield [metrics]


def _dataset(prepared: Any) -> dict[str, str | int] | None:
    if not isinstance(prepared, Mapping):
        return None
    return {str(name): value if isinstance(value, int) else str(value) for name, value in prepared.items()}


@contextmanager
def _closed(training: Rounds) -> Iterator[Rounds]:
    """As contextlib.closing, but an exception that the function raises while it is closed is only printed."""
    try:
        yield training
    finally:
        try:
            with OneProcess():
                training.close()
        except BaseException as error:
            if is_of_person(error):
                raise
            traceback.print_exception(error)
