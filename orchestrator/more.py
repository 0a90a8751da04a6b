"""More epochs for trials that have completed: which of them can have these, and that it is recorded."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator import chosen
from orchestrator.errors import InputError, SweepError
from orchestrator.requests.calls import More
from orchestrator.spec import SweepSpec
from orchestrator.trial import Outcome
from orchestrator.trials.asked import of_file
from orchestrator.trials.longer import ASKED_EPOCHS, asked_key, goes_on, with_epochs
from orchestrator.trials.record import BROKEN, Record

if TYPE_CHECKING:  # a command that only asks imports no mlflow
    from orchestrator.trackers import Store, Tracker


@dataclass(frozen=True)
class Extended:
    """Trials that are to have more epochs."""

    spec: SweepSpec
    sweep: str  # its name in the store
    epochs: int
    records: Sequence[Record]
    others: str = ""  # of which completed ones that is not asked, in a line

    @property
    def keys(self) -> list[str]:
        """The trial_keys of the file's trials."""
        return [asked_key(record) for record in self.records]

    @property
    def lines(self) -> tuple[str, ...]:
        """What there is to say of them."""
        function = self.spec.function
        lines = [
            f"{record.label or self.sweep} is to have {self.epochs} epochs, {goes_on(function, record)}"
            for record in self.records
        ]
        return (*lines, self.others) if self.others else (*lines,)


def extended(reader: "Store", spec: SweepSpec, sweep: str, call: More) -> Extended:
    """The trials that are to have so many epochs, each once.

    Args:
        reader: of the store.
        spec: the sweep's file.
        sweep: its name in the store.
        call: what is asked.

    Raises:
        InputError: there are none, or one that is named cannot have so many.
    """
    if spec.epochs is None:
        raise InputError(f"{sweep} has no number of epochs that is the same for all trials, so none can have more")
    epochs, records = call.epochs, reader.records(sweep, spec.objectives)
    of_now = {record.run_id for record in of_file(spec, records)}
    there = {record.trial_key: record for record in (*reader.trash(sweep).values(), *records)}
    named = [chosen.among(records, sweep, name) for name in call.trials]
    if problems := [problem for record in named if (problem := _problem(spec, record, epochs, of_now, there))]:
        raise InputError(*problems)
    if named:
        return Extended(spec, sweep, epochs, [*{record.run_id: record for record in named}.values()])
    completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    records = [record for record in completed if record.run_id in of_now]
    others = _in_words(len(completed) - len(records))
    records = _best(spec, sweep, records, call.best) if call.best is not None else records
    found = {record.run_id: _problem(spec, record, epochs, of_now, there) for record in records}
    if not records or all(found.values()):
        none = "; ".join(filter(None, (f"no trial of {sweep} has completed that its file asks for", others)))
        raise InputError(next(iter(found.values()), "") or (none if others else f"no trial of {sweep} has completed"))
    return Extended(spec, sweep, epochs, [record for record in records if not found[record.run_id]], others)


def extend(tracker: "Tracker", call: More) -> tuple[str, ...]:
    """Record what a launch is asked for of its own sweep.

    Returns:
        What there is to say of the trials that are to have more epochs.

    Raises:
        InputError: no trial, or none that is named, can have so many epochs.
    """
    try:
        found = extended(tracker, tracker.spec, tracker.spec.name, call)
    except SweepError:
        raise
    except Exception as error:  # of a trial function's own checks, which must not end the launch
        raise InputError(f"the launch could not do this: {type(error).__name__}: {error}") from error
    tracker.ask_more(call.epochs, found.keys)
    return found.lines


def _in_words(others: int) -> str:
    """How many trials the file does not ask for, in a line; empty where there are none."""
    if not others:
        return ""
    if others == 1:
        return "1 completed trial stays as it is: the file does not ask for it"
    return f"{others} completed trials stay as they are: the file does not ask for them"


def _best(spec: SweepSpec, sweep: str, records: Sequence[Record], most: int) -> list[Record]:
    """So many of the best trials, the best first; of those that break a constraint, none."""
    if len(spec.objectives) != 1:
        raise InputError(f"{sweep} has no single metric by which trials are the best; name the TRIALs")
    (objective,) = spec.objectives
    valued = [(value, one) for one in records if (value := one.value(objective)) is not None and BROKEN not in one.tags]
    sign = 1 if objective.goal == "minimize" else -1
    return [one for _, one in sorted(valued, key=lambda pair: sign * pair[0])[:most]]


def _problem(spec: SweepSpec, record: Record, epochs: int, of_now: Collection[str], there: Mapping[str, Record]) -> str:
    """Why a trial cannot have so many epochs, in a line; empty where it can.

    Args:
        spec: the file.
        record: of the trial.
        epochs: that it is to have.
        of_now: the runs of the trials that the file asks for.
        there: all that the store has of the sweep, by trial_key.
    """
    label, had = record.label or "the only configuration", record.params.get("epochs", 0)
    if record.outcome in (None, Outcome.INTERRUPTED):
        return f"{label} has not come to its end; only what has completed goes on to more epochs"
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
