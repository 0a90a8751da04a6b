"""`sweep logs`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator import chosen
from orchestrator.commands.lookup import completions, existing, store
from orchestrator.commands.options import TrackingUri
from orchestrator.system import paths
from orchestrator.system.paths import LOG_FILE
from orchestrator.terminal.consoles import warn

if TYPE_CHECKING:
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record

SECONDS_BETWEEN_READS = 0.5


def logs(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN, FILE or NAME",
            help="The id of a trial's run, or its first letters; or a sweep's YAML file, or its name in the store.",
            autocompletion=completions,
        ),
    ],
    trial: Annotated[
        str | None,
        typer.Argument(
            metavar="[TRIAL]",
            help="A trial of the sweep: its label, or a part of it that no other has; its trial_key; or its number, "
            "from 1 on in the order in which trials began.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the trial has ended.")] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Show what a trial has printed, while it runs or later."""
    from orchestrator.workspace import Workspace, is_live

    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    is_sweep = trial is not None or paths.is_file(run) or run in reader.sweeps()
    record = chosen.by_trial(reader, existing(run, reader), trial) if is_sweep else chosen.by_run(reader, run)
    sweep = record.tags["sweep"]
    log = Workspace(uri, sweep).folder / record.trial_key / LOG_FILE

    def runs() -> bool:
        return reader.record(record.run_id).status == "RUNNING" and is_live(uri, sweep)

    try:
        has_printed = _show(reader, record, log, runs if follow else None)
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if not has_printed:
        so_far = " so far; where it runs on another machine, its log comes with its end" * (record.status == "RUNNING")
        warn(f"{record.label or sweep} has printed nothing{so_far}")


def _show(reader: "Store", record: "Record", log: Path, runs: Callable[[], bool] | None) -> bool:
    """Print the log; returns whether there was anything. With `runs`, go on until that returns False."""
    from orchestrator.commands.printed import PrintedLog, secrets

    has_result = record.outcome is not None and record.outcome.is_result
    if has_result or not (log.is_file() or runs):
        return _show_kept(reader, record)
    printed, has_printed = PrintedLog(log, secrets(reader, record)), False
    while True:
        is_over = runs is None or not runs()  # before what is new is read: so that is all of it
        content = printed.news(is_over=is_over)
        has_printed |= bool(content)
        _print(content)
        if is_over:
            return has_printed or _show_kept(reader, record)
        time.sleep(SECONDS_BETWEEN_READS)


def _show_kept(reader: "Store", record: "Record") -> bool:
    """Print the log that the run has; returns whether it has one."""
    content = reader.artifact(record.run_id, LOG_FILE) if LOG_FILE in reader.artifacts(record.run_id) else b""
    _print(content)
    return bool(content)


def _print(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
