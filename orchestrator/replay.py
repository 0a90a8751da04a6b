"""Train a trial of the store again in this process, up to its explosion or to its end. Writes nothing to the store."""

import pdb
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from orchestrator import functions
from orchestrator.comparison.replayed import Replayed
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError
from orchestrator.events import Finished, Progress
from orchestrator.functions import FunctionError, TrialFunction
from orchestrator.spec import SweepSpec, load
from orchestrator.system import machine
from orchestrator.system.scratch import scratch
from orchestrator.terminal.display import ending
from orchestrator.trackers import Store
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record
from orchestrator.worker import runner
from orchestrator.worker.endings import print_traceback
from orchestrator.worker.runner import Task

Log = Callable[[str], None]


def replay(store: Store, run_id: str, log: Log, debug: bool = False) -> Replayed:
    """Run the trial of a run again, with its parameters and its number of threads; returns how it ended.

    Args:
        store: that has the run.
        run_id: of the trial's run.
        log: gets a line for each thing that happens.
        debug: break in pdb where the trial explodes or fails.

    Raises:
        InputError: there is no such trial, its function is gone or takes other parameters now, or data are missing.
    """
    record = store.record(run_id)
    name, launch = record.tags["trial"], store.last_launch(record.tags["sweep"])
    spec = _as_launched(store, record, Path(launch.file), log)
    function = _function(record, Path(launch.file), spec, log)
    called = name if function.program is None else function.program.line(record.params)
    log(f"replaying {record.label} of {record.tags['sweep']} with {called}")
    if spec and spec.stacking.width > 1:
        log("it runs alone here: in its stack the numbers were rounded slightly differently")
    machine.keep_freed_memory()
    shown = [*function.declaration.losses, *(objective.name for objective in launch.objectives)]
    end, reported = Finished(Outcome.INTERRUPTED), list[Progress]()
    with function.active(), scratch() as folder:
        if function.program is None and (problem := runner.prepare(name, [record.params])):
            raise InputError(*problem.splitlines())
        rule = spec.divergence if spec else DivergenceRule()
        task = Task(name, record.params, folder, rule, record.threads, program=function.program)
        for event in runner.run(task, on_error=_break_in if debug else print_traceback):
            if isinstance(event, Progress):
                reported.append(event)
                log(_in_words(event, record, shown))
            elif isinstance(event, Finished):
                end = event
    log(ending(end))
    names = [name for name in dict.fromkeys([*shown, *_names(reported)]) if name != function.declaration.rate]
    curves = {name: store.curves(name, [record])[record.run_id] for name in names}
    replayed = Replayed.of(record, end, reported, curves)
    log(replayed.in_words)
    return replayed


def _as_launched(store: Store, record: Record, file: Path, log: Log) -> SweepSpec | None:
    """The sweep's file as its last launch had it; None where it cannot be read any more."""
    try:
        return load(file, text=store.sweep_file(record.tags["sweep"]))
    except InputError as error:
        log(f"warning: the sweep file can no longer be read, so the default rule decides what is an explosion: {error}")
        return None


def _function(record: Record, file: Path, spec: SweepSpec | None, log: Log) -> TrialFunction:
    """The trial's function as it is now; logs a warning where its version has changed."""
    name = record.tags["trial"]
    try:
        if spec is not None and spec.function.name == name:
            function = spec.function
        else:
            named = None if name == functions.DEFAULT_TRIAL else name
            function = functions.find(name, functions.modules_of(named, [file.parent, Path.cwd()]))
        function.config(record.params)
    except FunctionError as error:
        message = f"run {record.run_id} needs the trial function {name}, which no longer exists: {error}"
        raise InputError(message) from error
    except ValueError as error:
        raise InputError(f"run {record.run_id}: {name} no longer takes its parameters: {error}") from error
    if function.trial(function.completed(record.params), "").trial_key != record.trial_key:
        log(f"warning: the run is of another version of {name} than {function.version}; its numbers may differ")
    return function


def _in_words(event: Progress, record: Record, shown: Sequence[str]) -> str:
    epochs = record.params.get("epochs")
    names = [name for name in dict.fromkeys(shown) if name in event.metrics] or list(event.metrics)
    facts = ", ".join(f"{name} {event.metrics[name]:.5g}" for name in names)
    return f"epoch {event.epoch}{f'/{epochs}' if isinstance(epochs, int) else ''}: {facts}"


def _names(reported: Iterable[Progress]) -> list[str]:
    return list(dict.fromkeys(name for event in reported for name in event.metrics))


def _break_in(error: BaseException) -> None:
    """Look around in pdb where an error was raised; for an explosion, where the trial function called `watch`."""
    traceback.print_exception(error, limit=-1)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = 0
    while ours < len(frames) and frames[-1 - ours].f_globals.get("__name__", "").startswith("orchestrator."):
        ours += 1
    debugger = pdb.Pdb()
    debugger.rcLines += ["up"] * ours
    debugger.reset()
    debugger.interaction(None, error.__traceback__)
