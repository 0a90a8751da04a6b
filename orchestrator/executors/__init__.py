"""Where trials run: the registry of executors. `contract.py` describes what each of them owes.

This module itself imports none of them, so that their names are known at once.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import InputError, NotYetError

if TYPE_CHECKING:
    from orchestrator.executors.contract import Executor, Setup
    from orchestrator.spec import SweepSpec


@dataclass(frozen=True)
class Kind:
    """An executor that can be asked for by name."""

    create: Callable[["Setup"], "Executor"]
    isolates: bool  # whether trials run in processes of their own, which can be killed and replaced


def _process(setup: "Setup") -> "Executor":
    from orchestrator.executors.process import ProcessExecutor
    from orchestrator.system.machine import share

    return ProcessExecutor(setup, share(setup.stacks, setup.workers, setup.resources))


def _inline(setup: "Setup") -> "Executor":
    from orchestrator.executors.inline import InlineExecutor
    from orchestrator.system.machine import share

    return InlineExecutor(setup, share(setup.stacks, 1, setup.resources))


def _slurm(setup: "Setup") -> "Executor":
    from orchestrator.executors.slurm.executor import SlurmExecutor
    from orchestrator.spec.slurm_form import SlurmJobs
    from orchestrator.system.machine import Shares

    jobs = SlurmJobs()
    cpus = jobs.cpus or setup.resources.cpus or 1
    return SlurmExecutor(setup, Shares(setup.workers or jobs.workers, cpus, (), threads_given=True), jobs)


DEFAULT = "process"
EXECUTORS: Mapping[str, Kind] = {
    "process": Kind(_process, isolates=True),
    "inline": Kind(_inline, isolates=False),
    "slurm": Kind(_slurm, isolates=True),
}
NOT_YET = ("ray",)  # asked for by name in the contract with users


def find(name: str) -> Kind:
    """The executor of this name.

    Raises:
        InputError: there is no such executor.
        NotYetError: it is not available yet.
    """
    available = f"available: {', '.join(EXECUTORS)}"
    if name in NOT_YET:
        raise NotYetError(f"executor {name} is not available yet; {available}")
    if name not in EXECUTORS:
        raise InputError(f"there is no executor {name}; {available}")
    return EXECUTORS[name]


def check(spec: "SweepSpec") -> None:
    """Go on only where a trial of the sweep fits into this machine, and its command into the environment.

    Raises:
        InputError: with a line for each resource of which it takes more than there is, and each variable that lacks.
    """
    from orchestrator.system.machine import lacking

    mistakes = [spec.source.mistake(("resources", key), lack) for key, lack in lacking(spec.resources).items()]
    if program := spec.function.program:
        mistakes += [
            spec.source.mistake(("command",), f"the environment has no variable {name}; set it, and launch again")
            for name in program.command.missing(os.environ)
        ]
    if mistakes:
        raise InputError.of(mistakes)


def create(name: str, setup: "Setup") -> "Executor":
    """Make the executor of this name, for one launch; errors are those of `find`."""
    return find(name).create(setup)
