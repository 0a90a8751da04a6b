"""Export a trained model as an MLflow model, in a process of its own, since that imports the function's framework."""

import multiprocessing
import os
import sys
from contextlib import suppress
from pathlib import Path

from orchestrator import functions
from orchestrator.functions import Modules, TrialFunction
from orchestrator.worker.spawn import end_with_parent, start

TIMEOUT_SECONDS = 600


def export(function: TrialFunction, artifacts: Path, folder: Path, log: Path) -> bool:
    """Call what the function declares as its `export`, with `artifacts` and `folder`; returns whether it succeeded.

    Args:
        function: the trial function, with an `export`.
        artifacts: folder of the trial's artifacts.
        folder: of the MLflow model; it does not exist yet.
        log: a file for the output.
    """
    arguments = (function.name, function.modules, artifacts, folder, log)
    process = multiprocessing.get_context("spawn").Process(target=_export, args=arguments)
    start(process)
    try:
        process.join(TIMEOUT_SECONDS)
    finally:
        with suppress(ValueError):
            process.kill()
    process.join()
    return process.exitcode == 0


def _export(function: str, modules: Modules | None, artifacts: Path, folder: Path, log: Path) -> None:
    end_with_parent()
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    if write := functions.attached(functions.find(function, modules), "export"):
        write(artifacts, folder)
