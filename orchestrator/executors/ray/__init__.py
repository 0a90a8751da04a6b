"""Trials on a Ray cluster: an actor a slot, each with an agent of ours as its child.

Ray itself is imported by `gateway.py` alone, in a process of its own: where a cluster goes away, Ray ends the process
that was connected with it, and says so on its standard error.
"""

import itertools
import sys
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.executors.contract import Setup
from orchestrator.executors.ray.engine import RayEngine
from orchestrator.executors.remote.executor import RemoteExecutor
from orchestrator.spec.executor_forms import RayForm
from orchestrator.system.machine import Shares

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


def executor(setup: Setup, form: RayForm) -> RemoteExecutor:
    """An executor on a cluster.

    Args:
        setup: with the resources of a trial.
        form: of the cluster.
    """
    takes = setup.resources
    gpus = () if takes.gpus else ("",)
    shares = Shares(setup.workers or sys.maxsize, takes.cpus or 1, gpus, threads_given=True)
    engine = setup.engine or RayEngine(setup.function, takes, form, setup.interrupt, setup.log)
    return RemoteExecutor(setup, shares, engine)
