"""`sweep best`."""

import os
import shlex
from pathlib import Path

from orchestrator import paths
from orchestrator.commands import again
from orchestrator.commands.lookup import store, wanted
from orchestrator.commands.options import Sweep, TrackingUri
from orchestrator.errors import InputError
from orchestrator.terminal.consoles import stdout


def best(
    sweep: Sweep,
    tracking_uri: TrackingUri = None,
) -> None:
    """Show a sweep's best configuration, with its interval over seeds, and the command that runs it again."""
    from orchestrator.expansion import varying
    from orchestrator.ranking import ranking
    from orchestrator.search_space import overrides
    from orchestrator.spec import load
    from orchestrator.terminal.tables import print_best

    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    name = wanted(sweep, reader.sweeps())
    asked = reader.asked(name)
    records = reader.records(name)
    standings = ranking(records, asked.metric)
    if not standings:
        raise InputError(f"no trial of {name} has completed with a value of {asked.metric.name}")
    names = [name for name in varying([record.params for record in records]) if name != "seed"]
    file = os.path.relpath(asked.file)
    sets = [f"--set={setting}" for setting in overrides(load(Path(file)), standings[0].params)]
    command = f"{again.command()} launch {shlex.join([file, *sets])}{again.uri_option(tracking_uri)}"
    print_best(stdout(), asked.metric, standings, names, command)
