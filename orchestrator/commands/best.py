"""`sweep best`."""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands import again
from orchestrator.commands.lookup import asked, store
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import print_line, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.comparison.configuration import Configuration
    from orchestrator.spec import Objective, SweepSpec
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record


def best(
    sweep: SweepArgument,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Show a sweep's best configuration, with its interval over seeds, and the command that runs it again.

    With several metrics, show their Pareto front; of a boundary, where it lies, and what is safe. For a FILE it looks
    at the trials that the file asks for; for a NAME, at all trials in the store.
    """
    from orchestrator.comparison.ranking import ranking_of
    from orchestrator.spec.objective import by_names
    from orchestrator.terminal.tables import print_best, print_front
    from orchestrator.trials.asked import of_file
    from orchestrator.trials.labels import label, marked, texts_of, told_apart, varying
    from orchestrator.trials.record import VERSION, changed, taken

    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    name, file, spec = asked(sweep, reader)
    objectives = _objectives(reader, sweep, name, file, spec)
    records = reader.results(name, objectives)
    records = taken(spec.function, of_file(spec, records) if paths.is_file(sweep) else records)
    if spec.method.finds_boundary:
        _show_boundary(spec, file, records, as_json)
        return
    ranked = ranking_of(spec, records, objectives)
    if ranked and ranked[0].broken:
        broken = ", ".join(ranked[0].broken)
        raise InputError(
            f"no configuration of {name} keeps the constraints of {file}: the one that ranks first breaks {broken}"
        )
    if not ranked:
        whose = f"{name} that {file} asks for" if paths.is_file(sweep) else name
        hint = _hint(records, objectives)
        raise InputError(f"no trial of {whose} has completed with a value of {by_names(objectives)}{hint}")
    names = [each for each in varying([record.params for record in records]) if each != "seed"]
    texts = texts_of([record.params for record in records], names)
    versions = {record.tags["config_key"]: record.tags.get(VERSION) for record in records}
    labels = told_apart(
        (one.config_key, label(spec, one.params, names, texts) or "the only configuration", versions[one.config_key])
        for one in ranked
    )

    def named(configuration: "Configuration") -> str:
        return labels[configuration.config_key]

    best = ranked[:1] if len(objectives) == 1 else ranked.front
    shown = [configuration.params for configuration in best]
    commands = [""] * len(shown)
    if Path(file).is_file():
        commands = again.commands(spec, file, shown, records, reader.sweeps(), tracking_uri)
    keys = {configuration.config_key for configuration in best}
    of_best = [record for record in marked(records) if record.remark and record.tags["config_key"] in keys]
    gone = "" if Path(file).is_file() else again.gone(file, uri)
    said = [*(f"{record.label}: {record.remark}" for record in of_best), gone, changed(spec.function, records)]
    remarks = [*filter(None, said)]
    if as_json:
        from orchestrator.documents.best import BestDocument
        from orchestrator.terminal.json_output import emit

        emit(BestDocument.of(name, file, ranked, best, labels, commands, remarks))
        return
    if len(objectives) == 1:
        print_best(stdout(), ranked, named, commands[0])
    else:
        print_front(stdout(), ranked, best, named, commands)
    for line in remarks:
        print_line(stdout(), line)


def _objectives(reader: "Store", sweep: str, name: str, file: str, spec: "SweepSpec") -> "Sequence[Objective]":
    """What trials are ranked by: as a FILE says, or as the last launch of a NAME had it.

    Raises:
        InputError: its trials cannot be ranked.
    """
    launched = () if paths.is_file(sweep) else reader.last_launch(name).objectives
    objectives = launched or spec.objectives
    if objectives or spec.method.finds_boundary:
        return objectives
    names = reader.reported(spec.function.name)
    hint = f"; its trials have reported {', '.join(names)}" if names else ""
    raise InputError(f"{file}: has no metric, so trials cannot be ranked; add `metric: {{name: ..., goal: ...}}`{hint}")


def _show_boundary(spec: "SweepSpec", file: str, records: "Sequence[Record]", as_json: bool) -> None:
    from orchestrator.comparison.boundary import Boundary
    from orchestrator.trials.asked import asked as asked_for
    from orchestrator.trials.record import changed

    boundary = Boundary.of(spec, asked_for(spec, records), {record.trial_key: record for record in records})
    remarks = [*filter(None, [changed(spec.function, records)])]
    if as_json:
        from orchestrator.documents.best import BestDocument
        from orchestrator.terminal.json_output import emit

        emit(BestDocument.of_boundary(file, boundary, remarks))
        return
    for line in [*boundary.sentences(), *remarks]:
        print_line(stdout(), line)


def _hint(records: "Sequence[Record]", objectives: "Sequence[Objective]") -> str:
    """The name that was probably meant, where completed trials have reported other metrics alone."""
    from orchestrator.spec import nearest
    from orchestrator.trial import Outcome

    completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    names = {name: None for record in completed for name in record.reported_names}
    missing = next((objective.name for objective in objectives if objective.name not in names), None)
    return f"; {nearest(missing, [*names])}" if names and missing else ""
