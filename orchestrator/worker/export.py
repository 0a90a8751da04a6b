"""Have a trial function write a trained model as an MLflow model, in a process of its own: it imports its framework."""

import multiprocessing
import os
import sys
from contextlib import suppress
from pathlib import Path

from orchestrator import trial_function
from orchestrator.worker.spawn import end_with_parent, start

SECONDS = 600  # within which it is to be done


def export(function: str, artifacts: Path, folder: Path, log: Path) -> bool:
    """Call `function.export(artifacts, folder)`; returns whether it went well.

    Args:
        function: by name.
        artifacts: what a trial of it left as its artifacts.
        folder: where the MLflow model is to be; not there yet.
        log: a file for what is printed.
    """
    process = multiprocessing.get_context("spawn").Process(target=_export, args=(function, artifacts, folder, log))
    start(process)
    try:
        process.join(SECONDS)
    finally:
        with suppress(ValueError):
            process.kill()
    process.join()
    return process.exitcode == 0


def _export(function: str, artifacts: Path, folder: Path, log: Path) -> None:
    end_with_parent()
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    trial_function.load(function).export(artifacts, folder)  # type: ignore[attr-defined]
