"""Sweeps from Python, in scripts and notebooks: `launch` a sweep, or read a launched sweep by `load_sweep`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import frames
from orchestrator.called import called
from orchestrator.errors import InputError
from orchestrator.launching import launch as run
from orchestrator.notification import notifying
from orchestrator.settings import SECONDS_OF_WAITING, Settings
from orchestrator.spec import SweepSpec, load, text_of
from orchestrator.system import paths, platforms
from orchestrator.terminal.consoles import stdout, warn
from orchestrator.terminal.display import display_for
from orchestrator.trackers import Store
from orchestrator.trials.labels import marked
from orchestrator.trials.record import Record, of_function, taken
from orchestrator.workspace import is_live

if TYPE_CHECKING:
    from pandas import DataFrame

    from orchestrator.samplers.dashboard import Study


@dataclass(frozen=True)
class Sweep:
    """A sweep in a store; all that it shows is what the store has at that moment."""

    name: str
    uri: str

    @property
    def trials(self) -> "DataFrame":
        """A row for each trial, by its label: parameters, outcome, metrics, seconds of training, remark, run_id.

        These are all that the store has of the sweep and its function, also those that its file no longer asks for. A
        metric with the name of a parameter is called `metrics.NAME`.
        """
        return frames.trials(self._records(Store(self.uri)))

    @property
    def curves(self) -> "DataFrame":
        """A row for each epoch of each trial, by its label and the epoch: the metrics that it reported there."""
        reader = Store(self.uri)
        return frames.curves(reader, self._records(reader))

    @property
    def best(self) -> dict[str, Any]:
        """The parameters of the best configuration, as `sweep best` finds it, without the seed.

        Raises:
            InputError: there is none, or no single metric that trials are compared by.
        """
        from orchestrator.comparison.ranking import ranking_of

        reader = Store(self.uri)
        spec = self._spec(reader)
        if len(spec.objectives) != 1:
            known = "several metrics" if spec.objectives else "no metric"
            raise InputError(f"{self.name} has {known} to compare trials by; the best configuration is so by one")
        ranked = ranking_of(spec, taken(spec.function, reader.results(self.name, spec.objectives)), spec.objectives)
        if not ranked:
            raise InputError(f"no trial of {self.name} has completed with a value of {spec.objectives[0].name}")
        if ranked[0].broken:
            raise InputError(f"no configuration of {self.name} keeps its constraints: {', '.join(ranked[0].broken)}")
        return {name: value for name, value in ranked[0].params.items() if name != "seed"}

    @property
    def study(self) -> "Study":
        """The trials as a study of Optuna's, in memory, for its plots and importances."""
        from orchestrator.samplers.dashboard import study

        reader = Store(self.uri)
        spec = self._spec(reader)
        return study(spec, reader.records(self.name, spec.objectives))

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report of all trials into a folder, or into reports/ and the sweep's name; returns its page.

        Raises:
            InputError: it cannot be written there.
        """
        from orchestrator.reports.files import folder_for, write
        from orchestrator.reports.sections import section

        reader = Store(self.uri)
        runs = is_live(self.uri, self.name) and reader.is_running(self.name)
        shown = section(reader, self._spec(reader), self.name, all_records=True, is_live=runs)
        return write([shown], folder_for([self.name]) if out is None else Path(out)).page

    def _records(self, reader: Store) -> Sequence[Record]:
        return marked(of_function(reader.function(self.name), reader.results(self.name)))

    def _spec(self, reader: Store) -> SweepSpec:
        """The sweep's file as its last launch had it."""
        return load(Path(reader.last_launch(self.name).file), text=reader.sweep_file(self.name))


def launch(
    sweep: str | Path | SweepSpec | Callable[..., Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    tracking_uri: str | None = None,
    executor: str | Mapping[str, Any] | None = None,
    set_executor: Mapping[str, Any] | None = None,
    workers: int | None = None,
    trial_timeout: float | None = None,
    adopt: bool = False,
    wait: float = SECONDS_OF_WAITING,
    rerun: bool = False,
    quiet: bool = False,
    **keys: Any,
) -> Sweep:
    """Run a sweep to its end, or go on with it, as the command does.

    Args:
        sweep: a function, also one of a notebook or a script; a YAML file; or the result of `orchestrator.spec.load`.
        overrides: parameters of a file, set to constants.
        tracking_uri: of the store; by default that of the command.
        executor: where trials run: process, inline for pdb, ray or slurm; by default where the file says, or process.
            Of a function also as a file has it: {"ray": {"cpus": 2}}.
        set_executor: options of the executor, beside those of the file.
        workers: trials at the same time; default from the cores and GPUs of the machine.
        trial_timeout: seconds that the attempts at a trial may take together; then it is killed, and infeasible.
        adopt: whether to go on with a sweep of the same name that was launched from another file.
        wait: seconds for which a store is waited for that does not answer as the launch begins.
        rerun: whether trials run anew whose code has changed, or whose run is in MLflow's trash.
        quiet: whether to print nothing.
        keys: of a function: what a sweep file would say, by its keys. In `parameters`, a list is one of values to try.

    Raises:
        InputError: the file or an argument is wrong, data are missing, another launch of the sweep is running, the
            store has a sweep of this name that is of another file, or this is not the main thread.
        SweepError: the sweep cannot go on.
        KeyboardInterrupt: it was interrupted; launched again, it goes on.
    """
    uri = paths.tracking_uri(tracking_uri)
    if isinstance(executor, Mapping):
        keys, executor = {**keys, "executor": executor}, None
    spec = _spec(sweep, overrides or {}, keys, uri)
    for warning in (*spec.warnings, *filter(None, [platforms.remark()])):
        warn(warning)
    options = [f"{name}={text_of(value)}" for name, value in (set_executor or {}).items()]
    settings = Settings(uri, executor, workers, trial_timeout, adopt, wait, rerun, options)
    display = display_for(spec, stdout(), quiet)
    with notifying(spec, settings.uri, display.progress) as end:
        launched = run(spec, settings, display)
        end.exit_status = launched.exit_status
    if launched.interrupted:
        raise KeyboardInterrupt
    return Sweep(spec.name, settings.uri)


def _spec(
    sweep: str | Path | SweepSpec | Callable[..., Any], overrides: Mapping[str, Any], keys: Mapping[str, Any], uri: str
) -> SweepSpec:
    reported = partial(_reported, uri)
    if not isinstance(sweep, str | Path | SweepSpec):
        if not callable(sweep):
            raise InputError(f"{sweep!r} is no sweep; give a function, or the path of a sweep file")
        if overrides:
            raise InputError("overrides are for a file; give a function its parameters as parameters={..}")
        return called(sweep, keys, uri, reported)
    if keys:
        raise InputError(f"{', '.join(keys)}: is for a function; of a file, change the file")
    if isinstance(sweep, SweepSpec):
        if overrides:
            raise InputError("overrides need a file; give them to `orchestrator.spec.load`")
        return sweep
    sets = [f"{name}={text_of(value)}" for name, value in overrides.items()]
    return load(Path(sweep), sets, reported=reported)


def _reported(uri: str, function: str) -> Sequence[str]:
    return Store(uri).reported(function) if paths.exists(uri) else ()


def load_sweep(sweep: str | Path, tracking_uri: str | None = None) -> Sweep:
    """A sweep that the store has, by its name or its YAML file: all that the store has of it, as `launch` returns it.

    Raises:
        InputError: there is no store, or no such sweep in it, or it is in the trash; or the file is wrong.
    """
    uri = paths.tracking_uri(tracking_uri)
    name = load(Path(sweep), is_to_run=False).name if paths.is_file(str(sweep)) else str(sweep)
    if not paths.exists(uri):
        raise InputError(f"the store {paths.redacted(uri)} has no sweep {name}; it has none")
    return Sweep(Store(uri).existing(name), uri)
