"""Trials on a Ray cluster: an actor a slot, each with an agent of ours as its child.

Ray itself is imported by `gateway.py` alone, in a process of its own: where a cluster goes away, Ray ends the process
that was connected with it, and says so on its standard error.
"""

import importlib.util
import itertools
import sys
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.executors.contract import Setup
from orchestrator.executors.ray.engine import RayEngine
from orchestrator.executors.remote.executor import RemoteExecutor
from orchestrator.functions import TrialFunction
from orchestrator.spec.executor_forms import RayForm
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Resources, Shares

OF_JOBS = ("runtime_resources", "working_dir_files")  # below it Ray keeps what jobs were submitted with, for a while


def check_lasts(folder: Path) -> None:
    """Go on only where what a sweep leaves is not removed together with the files of a job.

    Args:
        folder: of the sweep, beside its store.

    Raises:
        InputError: it is.
    """
    parts = folder.resolve().parts
    if any(pair == OF_JOBS for pair in itertools.pairwise(parts)):
        raise InputError(
            f"{folder} lies in Ray's cache, which Ray removes: name a store that lasts, such as --tracking-uri "
            "sqlite:////PATH/mlflow.db; where that is a server, begin in a folder that lasts"
        )


def engine(function: TrialFunction, takes: Resources, form: RayForm, interrupt: Interrupt, log: Path) -> RayEngine:
    """A cluster, not yet connected with.

    Args:
        function: of the trials.
        takes: what each of them has.
        form: of the cluster.
        interrupt: of the launch.
        log: for what Ray prints.

    Raises:
        InputError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("the ray executor needs Ray: pip install 'vae-sweeps[ray]'")
    return RayEngine(function, takes, form, interrupt, log)


def executor(setup: Setup, form: RayForm) -> RemoteExecutor:
    """An executor on a cluster.

    Args:
        setup: with the resources of a trial.
        form: of the cluster.

    Raises:
        InputError: Ray is not installed.
    """
    takes = setup.resources
    gpus = () if takes.gpus else ("",)
    shares = Shares(setup.workers or sys.maxsize, takes.cpus or 1, gpus, threads_given=True)
    return RemoteExecutor(setup, shares, engine(setup.function, takes, form, setup.interrupt, setup.log))
