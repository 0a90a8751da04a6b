"""Where trials run: the registry of executors. `contract.py` describes what each of them owes.

This module itself imports none of them, so that their names are known at once.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InputError
from orchestrator.executors.place import Place as Place
from orchestrator.executors.place import options_of

if TYPE_CHECKING:
    from orchestrator.executors.contract import Executor, Setup
    from orchestrator.executors.remote.engine import Engine
    from orchestrator.spec import SweepSpec
    from orchestrator.spec.executor_forms import ElsewhereForm, ExecutorForm
    from orchestrator.system.interrupt import Interrupt


@dataclass(frozen=True)
class Wish:
    """What an engine is asked for.

    Args:
        spec: of the sweep.
        trials: that it has in all; None where that is not known.
        workers: how many the launch has at a time at most; None leaves it to the engine.
    """

    spec: "SweepSpec"
    trials: int | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Kind:
    """An executor that can be asked for by name."""

    create: Callable[["Setup", Place], "Executor"]
    isolates: bool  # whether trials run in processes of their own, which can be killed and replaced
    form: Callable[[], "type[ElsewhereForm]"] | None = None  # of its options, where trials run on other machines
    ask: Callable[[Place, Wish, "Interrupt", Path], "Engine | None"] | None = None  # its engine, as `ask` below
    check_folder: Callable[[Path], None] | None = None  # as `check_folder` below
    end_left: Callable[[Path], None] | None = None  # where what it runs may outlive a launch, as `end_left` below


def _process(setup: "Setup", place: Place) -> "Executor":
    from orchestrator.executors.process import ProcessExecutor
    from orchestrator.system.machine import share

    return ProcessExecutor(setup, share(setup.stacks, setup.workers, setup.resources))


def _inline(setup: "Setup", place: Place) -> "Executor":
    from orchestrator.executors.inline import InlineExecutor
    from orchestrator.system.machine import share

    return InlineExecutor(setup, share(setup.stacks, 1, setup.resources))


def _ray(setup: "Setup", place: Place) -> "Executor":
    from orchestrator.executors.ray import executor
    from orchestrator.spec.executor_forms import RayForm

    options = place.options if isinstance(place.options, RayForm) else RayForm()
    return executor(replace(setup, resources=place.takes(setup.resources)), options)


def _ray_form() -> "type[ElsewhereForm]":
    from orchestrator.spec.executor_forms import RayForm

    return RayForm


def _slurm(setup: "Setup", place: Place) -> "Executor":
    from orchestrator.executors.slurm.executor import SlurmExecutor
    from orchestrator.spec.executor_forms import SlurmForm
    from orchestrator.system.machine import Shares

    options = place.options if isinstance(place.options, SlurmForm) else SlurmForm()
    takes = place.takes(setup.resources)
    shares = Shares(setup.workers or options.workers, takes.cpus or 1, (), threads_given=True)
    return SlurmExecutor(replace(setup, resources=takes), shares, options)


def _slurm_form() -> "type[ElsewhereForm]":
    from orchestrator.spec.executor_forms import SlurmForm

    return SlurmForm


def _ask_ray(place: Place, wish: Wish, interrupt: "Interrupt", log: Path) -> "Engine":
    from orchestrator.executors.ray.engine import RayEngine
    from orchestrator.spec.executor_forms import RayForm

    options = place.options if isinstance(place.options, RayForm) else RayForm()
    # it is connected with, and takes the code of the trials
    return RayEngine(wish.spec.function, place.takes(wish.spec.resources), options, interrupt, log).__enter__()


def _check_lasts(folder: Path) -> None:
    from orchestrator.executors.ray import check_lasts

    check_lasts(folder)


def _ask_slurm(place: Place, wish: Wish, interrupt: "Interrupt", log: Path) -> "Engine | None":
    from orchestrator.executors.slurm.commands import check
    from orchestrator.spec.executor_forms import SlurmForm

    if isinstance(place.options, SlurmForm):
        jobs = min(wish.workers or place.options.workers, wish.trials or sys.maxsize)
        check(place.options.of_sbatch(place.takes(wish.spec.resources)), jobs)
    return None


def _end_jobs(log: Path) -> None:
    from orchestrator.executors.slurm.jobs import end_left

    end_left(log.parent)


DEFAULT = "process"
HERE = Place(DEFAULT)
EXECUTORS: Mapping[str, Kind] = {
    "process": Kind(_process, isolates=True),
    "inline": Kind(_inline, isolates=False),
    "ray": Kind(_ray, isolates=True, form=_ray_form, ask=_ask_ray, check_folder=_check_lasts),
    "slurm": Kind(_slurm, isolates=True, form=_slurm_form, ask=_ask_slurm, end_left=_end_jobs),
}


def find(name: str) -> Kind:
    """The executor of this name.

    Raises:
        InputError: there is no such executor.
    """
    if name not in EXECUTORS:
        raise InputError(f"there is no executor {name}; available: {', '.join(EXECUTORS)}")
    return EXECUTORS[name]


def place_of(file: "ExecutorForm | None", name: str | None, sets: Sequence[str]) -> Place:
    """Where trials run.

    Args:
        file: what the sweep file says.
        name: of the executor that the command names, if it names one.
        sets: `NAME=VALUE` for its options.

    Raises:
        InputError: there is no such executor, or its options cannot be.
    """
    blocks = {} if file is None else {key: getattr(file, key) for key in file.model_fields_set}
    name = name or next(iter(blocks), DEFAULT)
    form = find(name).form
    return Place(name, options_of(name, form and form(), blocks.get(name), sets))


def check(spec: "SweepSpec", place: Place) -> None:
    """Go on only where a trial fits into this machine, if it runs here, and the environment has what its command names.

    Args:
        spec: of the sweep.
        place: where its trials are to run.

    Raises:
        InputError: with a line for each resource of which it takes more than there is, and each variable that lacks.
    """
    from orchestrator.system.machine import lacking

    lacks = lacking(spec.resources) if place.is_here else {}
    mistakes = [spec.source.mistake(("resources", key), lack) for key, lack in lacks.items()]
    if program := spec.function.program:
        mistakes += [
            spec.source.mistake(("command",), f"the environment has no variable {name}; set it, and launch again")
            for name in program.command.missing(os.environ)
        ]
    if mistakes:
        raise InputError.of(mistakes)


def check_folder(place: Place, folder: Path) -> None:
    """Go on only where what a sweep leaves lasts, as far as the engine of its place is known to remove things.

    Raises:
        InputError: it does not.
    """
    if kind := find(place.name).check_folder:
        kind(folder)


def ask(place: Place, wish: Wish, interrupt: "Interrupt", log: Path) -> "Engine | None":
    """Go on only where the engine of a place, if it has one, takes trials of this sweep.

    Returns it where it is connected with now, for `Setup.engine`; to be closed in the end.

    Args:
        place: where its trials are to run.
        wish: what it is asked for.
        interrupt: of the launch.
        log: of the workers, in the sweep's folder.

    Raises:
        InputError: it does not, for the reason that it gives; or it cannot be reached.
    """
    kind = find(place.name).ask
    return kind(place, wish, interrupt, log) if kind else None


def end_left(log: Path, but: str = "") -> None:
    """End what runs of an earlier launch of a sweep that was killed, where nobody goes on with it.

    Args:
        log: of the workers, in the sweep's folder.
        but: the executor that goes on with what it has left itself.

    Raises:
        SweepError: it cannot be ended from here.
    """
    for name, kind in EXECUTORS.items():
        if kind.end_left and name != but:
            kind.end_left(log)


def create(place: Place, setup: "Setup") -> "Executor":
    """Make the executor of a place, for one launch; errors are those of `find`, and of `end_left`."""
    end_left(setup.log, but=place.name)
    return find(place.name).create(setup, place)
