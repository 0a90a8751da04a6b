"""`sweep more`."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands import again, chosen
from orchestrator.commands.lookup import asked, store
from orchestrator.commands.options import SweepArgument, TrackingUri
from orchestrator.errors import AlreadyRunningError, InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import print_line, stdout
from orchestrator.trial import Outcome

if TYPE_CHECKING:
    from orchestrator.spec import SweepSpec
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record


def more(
    sweep: SweepArgument,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How many each is to have in all.")],
    trials: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIAL]...",
            help="The id of a trial's run, or its first letters; its label, or a part that no other has; its number. "
            "Without one: all that have completed.",
        ),
    ] = None,
    best: Annotated[int | None, typer.Option("--best", min=1, help="So many of the best trials.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Have trials that have completed go on for more epochs, with the next launch, from their checkpoints if kept."""
    from orchestrator.trackers.more import ask
    from orchestrator.trials.longer import asked_key, goes_on
    from orchestrator.workspace import Workspace

    if trials and best is not None:
        raise InputError("more takes TRIALs or --best, not both")
    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    name, file, spec = asked(sweep, reader)
    try:
        with Workspace(uri, name) as workspace:
            workspace.check_unheld()
            found, others = _found(reader, spec, name, epochs, trials or (), best)
            ask(reader, name, epochs, [asked_key(record) for record in found])
    except AlreadyRunningError as error:
        raise AlreadyRunningError(f"{error}; call this once it has ended (`sweep stop {name}` ends it)") from error
    for record in found:
        goes = goes_on(spec.function, record)
        print_line(stdout(), f"{record.label or name} is to have {epochs} epochs, {goes}")
    if others:
        print_line(stdout(), others)
    print_line(stdout(), f"train them with: {again.command()} launch {file}{again.uri_option(tracking_uri)}")


def _found(
    reader: "Store", spec: "SweepSpec", sweep: str, epochs: int, names: Sequence[str], best: int | None
) -> tuple[list["Record"], str]:
    """The trials that are to have so many epochs, each once; and of which completed ones that is not asked, in a line.

    Raises:
        InputError: there are none, or one that is named cannot have so many.
    """
    if spec.epochs is None:
        raise InputError(f"{sweep} has no number of epochs that is the same for all trials, so none can have more")
    from orchestrator.trials.asked import of_file

    records = reader.records(sweep, spec.objectives)
    of_now = {record.run_id for record in of_file(spec, records)}
    there = {record.trial_key: record for record in (*reader.trash(sweep).values(), *records)}
    named = [chosen.by_trial(reader, sweep, name) for name in names]
    if problems := [problem for record in named if (problem := _problem(spec, record, epochs, of_now, there))]:
        raise InputError(*problems)
    if named:
        return [*{record.run_id: record for record in named}.values()], ""
    completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    records = [record for record in completed if record.run_id in of_now]
    others = _in_words(len(completed) - len(records))
    records = _best(spec, sweep, records, best) if best is not None else records
    found = {record.run_id: _problem(spec, record, epochs, of_now, there) for record in records}
    if not records or all(found.values()):
        none = "; ".join(filter(None, (f"no trial of {sweep} has completed that its file asks for", others)))
        raise InputError(next(iter(found.values()), "") or (none if others else f"no trial of {sweep} has completed"))
    return [record for record in records if not found[record.run_id]], others


def _in_words(others: int) -> str:
    """How many trials the file does not ask for, in a line; empty where there are none."""
    if not others:
        return ""
    if others == 1:
        return "1 completed trial stays as it is: the file does not ask for it"
    return f"{others} completed trials stay as they are: the file does not ask for them"


def _best(spec: "SweepSpec", sweep: str, records: Sequence["Record"], most: int) -> list["Record"]:
    """So many of the best trials, the best first; of those that break a constraint, none."""
    from orchestrator.trials.record import BROKEN

    if len(spec.objectives) != 1:
        raise InputError(f"{sweep} has no single metric by which trials are the best; name the TRIALs")
    (objective,) = spec.objectives
    valued = [(value, one) for one in records if (value := one.value(objective)) is not None and BROKEN not in one.tags]
    sign = 1 if objective.goal == "minimize" else -1
    return [one for _, one in sorted(valued, key=lambda pair: sign * pair[0])[:most]]


def _problem(
    spec: "SweepSpec", record: "Record", epochs: int, of_now: Collection[str], there: Mapping[str, "Record"]
) -> str:
    """Why a trial cannot have so many epochs, in a line; empty where it can.

    Args:
        spec: the file.
        record: of the trial.
        epochs: that it is to have.
        of_now: the runs of the trials that the file asks for.
        there: all that the store has of the sweep, by trial_key.
    """
    from orchestrator.trials.longer import ASKED_EPOCHS, with_epochs

    label, had = record.label or "the only configuration", record.params.get("epochs", 0)
    if record.outcome in (None, Outcome.INTERRUPTED):
        return f"{label} has not come to its end; the next launch goes on with it"
    if record.outcome is not Outcome.COMPLETED:
        return f"{label} has not completed, so it cannot go on: {record.remark or record.outcome}"
    if record.tags.get(ASKED_EPOCHS, str(had)) != str(spec.epochs):
        return f"{label} is not of the file's {spec.epochs} epochs, so it cannot go on"
    if record.run_id not in of_now:
        return f"{label} is of another function or version, or has other values than the file's, so it cannot go on"
    if had >= epochs:
        return f"{label} has had {had} epochs; --epochs is how many it is to have in all"
    try:
        spec.function.config({**spec.function.completed(record.params), "epochs": epochs})
    except ValueError as error:
        return f"{label} cannot have {epochs} epochs: {error}"
    if other := there.get(with_epochs(spec.function, record, epochs).trial_key):
        return (
            f"{label} cannot have {epochs} epochs: run {other.run_id[:8]} is that trial; "
            f"launch with --set epochs={epochs}"
        )
    return ""
