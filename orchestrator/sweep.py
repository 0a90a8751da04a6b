"""The loop: ask the sampler, start trials in free slots, record what they tell."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import InputError
from orchestrator.executors import Executor
from orchestrator.executors.inline import InlineExecutor
from orchestrator.executors.process import ProcessExecutor
from orchestrator.expansion import Expansion, expand
from orchestrator.interrupt import Interrupt
from orchestrator.machine import share
from orchestrator.paths import work_folder
from orchestrator.record import Record
from orchestrator.samplers import ListSampler
from orchestrator.spec import SweepSpec
from orchestrator.table import Table
from orchestrator.terminal.display import Display
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome
from orchestrator.workspace import Workspace


@dataclass(frozen=True)
class Settings:
    """How a launch runs, beside what the file says."""

    uri: str
    executor: str = "process"
    workers: int | None = None
    trial_timeout: float | None = None


@dataclass(frozen=True)
class Launched:
    """What a launch came to: the result table of the file's trials, and whether it was cut short."""

    table: Table
    interrupted: bool


def launch(spec: SweepSpec, settings: Settings, display: Display) -> Launched:
    """Run every trial of the sweep that has no result yet.

    Raises:
        InputError: combinations are invalid, data are missing, or another launch of this sweep is running.
        StoreError: MLflow does not answer.
    """
    expansion = expand(spec)
    if expansion.invalid:
        raise InputError(*expansion.invalid)
    if not expansion.trials:
        raise InputError(f"{spec.source.path}: asks for no trial")
    with Workspace(work_folder(settings.uri) / spec.name) as workspace:
        display.say(f"opening the store {settings.uri}")
        tracker = Tracker(settings.uri, spec)
        history = tracker.open(len(expansion.trials))
        status = "FAILED"
        try:
            interrupted = _run(spec, expansion, settings, tracker, history, workspace, display)
            records = tracker.records(spec.name)
            table = Table.of(spec, expansion, {record.trial_key: record for record in records})
            status = "KILLED" if interrupted else "FAILED" if table.count(Outcome.FAILED) else "FINISHED"
            tracker.describe(table.markdown())
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            tracker.close(status)
    return Launched(table, interrupted)


def _run(
    spec: SweepSpec,
    expansion: Expansion,
    settings: Settings,
    tracker: Tracker,
    history: Mapping[str, Record],
    workspace: Workspace,
    display: Display,
) -> bool:
    """The loop; returns whether it was interrupted."""
    results = {key for key, record in history.items() if record.outcome and record.outcome.is_result}
    if spec.reuse:
        results |= tracker.reuse(trial for trial in expansion.trials if trial.trial_key not in results)
    sampler = ListSampler(expansion.trials)
    sampler.replay(results)
    pending = [trial for trial in expansion.trials if trial.trial_key not in results]
    if not pending:
        return False
    with Interrupt() as interrupt, _executor(spec, len(expansion.trials), settings, interrupt) as executor:
        display.say("looking at the data")
        executor.prepare([trial.params for trial in pending])
        with display.live(total=len(expansion.trials), done=len(expansion.trials) - len(pending)):
            while True:
                while not interrupt.requested and executor.has_free_slot and (trial := sampler.ask()):
                    tracker.start(trial)
                    display.start(trial)
                    executor.submit(trial, workspace.of(trial))
                if executor.idle:
                    return interrupt.requested
                for trial, event in executor.events():
                    tracker.record(trial, event, workspace.of(trial))
                    display.show(trial, event)
                    if event.is_final:
                        sampler.tell(trial, event)
                        if event.outcome.is_result:
                            workspace.remove(trial)


def _executor(spec: SweepSpec, trials: int, settings: Settings, interrupt: Interrupt) -> Executor:
    if settings.executor == "inline":
        return InlineExecutor(spec.function.name, spec.divergence, interrupt, share(trials, 1).threads)
    shares = share(trials, settings.workers)
    return ProcessExecutor(
        spec.function.name,
        spec.divergence,
        interrupt,
        workers=shares.workers,
        threads=shares.threads,
        gpus=shares.gpus,
        trial_timeout=settings.trial_timeout,
    )
