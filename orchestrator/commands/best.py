"""`sweep best`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands import again
from orchestrator.commands.lookup import existing, store
from orchestrator.commands.options import SweepArgument, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import print_line, stdout

if TYPE_CHECKING:
    from orchestrator.trial import Params


def best(
    sweep: SweepArgument,
    tracking_uri: TrackingUri = None,
) -> None:
    """Show a sweep's best configuration, with its interval over seeds, and the command that runs it again.

    With several metrics, show their Pareto front.
    """
    from orchestrator.comparison.configuration import configurations
    from orchestrator.comparison.ranking import front, ranking
    from orchestrator.spec import load
    from orchestrator.spec.objective import by_names
    from orchestrator.terminal.tables import print_best, print_front
    from orchestrator.trials.labels import label, varying
    from orchestrator.trials.record import changed, taken

    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    name = existing(sweep, reader.sweeps())
    asked = reader.last_launch(name)
    file = os.path.relpath(asked.file)
    spec = load(Path(file), is_to_run=False)
    objectives = asked.objectives or spec.objectives
    if spec.method.finds_boundary and not objectives:
        raise InputError(f"{file}: method {spec.method.name} looks for a boundary, and ranks no trials")
    if not objectives:
        names = reader.reported(spec.function.name)
        hint = f"; its trials have reported {', '.join(names)}" if names else ""
        raise InputError(
            f"{file}: has no metric, so trials cannot be ranked; add `metric: {{name: ..., goal: ...}}`{hint}"
        )
    records = taken(spec.function, reader.records(name))
    ranked = ranking(configurations(records, objectives), objectives)
    if not ranked:
        raise InputError(f"no trial of {name} has completed with a value of {by_names(objectives)}")
    names = [name for name in varying([record.params for record in records]) if name != "seed"]

    def named(params: "Params") -> str:
        return label(spec, params, names) or "the only configuration"

    best = ranked[:1] if len(objectives) == 1 else front(ranked, objectives)
    shown = [configuration.params for configuration in best]
    commands = again.commands(spec, file, shown, records, reader.sweeps(), tracking_uri)
    if len(objectives) == 1:
        print_best(stdout(), objectives[0], ranked, named, commands[0])
    else:
        print_front(stdout(), objectives, best, len(ranked), named, commands)
    if remark := changed(spec.function, records):
        print_line(stdout(), remark)
