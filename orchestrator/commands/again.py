"""How the command is to be called again, and a configuration to be run again."""

import os
import shlex
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.system import paths

if TYPE_CHECKING:
    from orchestrator.spec import SweepSpec
    from orchestrator.trial import Params
    from orchestrator.trials.record import Record

MOST_NAMES = 10_000  # of sweeps that run something again


def command() -> str:
    """How the command was called, as it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m orchestrator"
    found = shutil.which("sweep")
    # where it was called by no file, as by an interpreter's -c, there is nothing else to name
    is_sweep = found is not None and (not called.is_file() or Path(found).samefile(called))
    return "sweep" if is_sweep else shlex.quote(os.path.relpath(called))


def uri_option(tracking_uri: str | None) -> str:
    """The option that names the same store again; none for the store that the environment names."""
    if tracking_uri is None or tracking_uri == os.environ.get("MLFLOW_TRACKING_URI"):
        return ""
    return f" --tracking-uri {shlex.quote(paths.redacted(tracking_uri))}"


def gone(file: str, uri: str) -> str:
    """Why there is no such command, and what there is to do about it.

    Args:
        file: of the sweep, which is no longer there.
        uri: of the store.
    """
    from orchestrator.trackers.store import SWEEP_FILE

    return (
        f"{file} is gone, so no command runs this again; its text is {SWEEP_FILE} among the artifacts of the "
        f"sweep's parent run in {paths.redacted(uri)}"
    )


def commands(
    spec: "SweepSpec",
    file: str,
    configurations: "Sequence[Params]",
    records: "Iterable[Record]",
    sweeps: Collection[str],
    tracking_uri: str | None,
) -> list[str]:
    """The command for each configuration that runs it once more, as a sweep of its own that leaves the first alone.

    Args:
        spec: the sweep's file.
        file: its path, from here.
        configurations: by their parameters.
        records: of the sweep's trials; a new run has a seed that none of them has, if there are seeds.
        sweeps: the names of all sweeps in the store, which the new ones do not get.
        tracking_uri: of the store, as it was given.
    """
    from orchestrator.trials.search_space import overrides

    numbered = (f"{spec.name}-again{number}" for number in ("", *map("-{}".format, range(2, MOST_NAMES))))
    names = (name for name in numbered if name not in sweeps)
    seeds = [record.params["seed"] for record in records if isinstance(record.params.get("seed"), int)]
    seed = [f"--set=seed={max(seeds) + 1}"] if seeds else []
    lines = []
    for params, name in zip(configurations, names, strict=False):
        sets = [f"--set={setting}" for setting in overrides(spec, params)]
        words = shlex.join([file, f"--name={name}", *sets, *seed])
        lines.append(f"{command()} launch {words}{uri_option(tracking_uri)}")
    return lines
