"""Trials in a CSV file: that of a report, of MLflow, or of anybody's own."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.functions import Parameter, TrialFunction
from orchestrator.spec import Objective, nearest
from orchestrator.spec.constraint import Constraint
from orchestrator.spec.source import scalar
from orchestrator.system.printable import in_a_line
from orchestrator.system.regular import NotRegularError, opened
from orchestrator.trial import Outcome
from orchestrator.trials.prior_trial import PriorTrial, of_records
from orchestrator.trials.record import Record, best_name

MOST_BYTES = 50_000_000
OF_PARAMETERS = ("params.", "param.")  # before their names, by MLflow, and by a report where names collide
OF_METRICS = ("metrics.", "metric.")
OUTCOMES = ("outcome", "tags.outcome")
STATUSES = ("status", "Status")  # MLflow's
EPOCHS = ("last_epoch", "epochs_run", "tags.epochs_run")
BY_STATUS = {"FINISHED": Outcome.COMPLETED, "FAILED": Outcome.FAILED}


def trials_of(
    path: Path,
    function: TrialFunction,
    objectives: Sequence[Objective],
    wanted: Iterable[str],
    constraints: Sequence[Constraint] = (),
) -> list[PriorTrial]:
    """The trials that have ended, in the order of the file.

    Args:
        path: of the file. Its columns are called as parameters and metrics are; it may say outcomes, too.
        function: whose parameters they have.
        objectives: of which it has to have columns.
        wanted: the parameters of which it has to have columns.
        constraints: that metrics may keep to; of these it need not tell.

    Raises:
        ValueError: it cannot be read, or lacks a column; the message goes on from the file's name.
    """
    rows = _rows(path)
    columns = rows[0].keys() if rows else {}
    params = _columns(columns, OF_PARAMETERS, function)
    metrics = {_bare(name, OF_METRICS): name for name in columns if name not in params.values()}
    for name in wanted:
        if name not in params:
            raise ValueError(f"has no column {name}; {nearest(name, list(columns))}")
    for objective in objectives:
        if not {objective.name, best_name(objective.name)} & metrics.keys():
            raise ValueError(f"has no column {objective.name}; {nearest(objective.name, list(columns))}")
    records = (_record(number, row, params, metrics, function) for number, row in enumerate(rows))
    return of_records(objectives, records, constraints)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with opened(path) as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"is larger than {MOST_BYTES:,} bytes")
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), restval="")
        rows = [{name: value for name, value in row.items() if name} for row in reader]
    except FileNotFoundError as error:
        raise ValueError("there is no such file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start})") from error
    except csv.Error as error:
        raise ValueError(f"cannot be read as CSV ({error})") from error
    except NotRegularError as error:
        raise ValueError(str(error.strerror)) from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if not rows:
        raise ValueError("has no rows")
    return rows


def _bare(column: str, prefixes: Iterable[str]) -> str:
    return next((column.removeprefix(prefix) for prefix in prefixes if column.startswith(prefix)), column)


def _columns(columns: Iterable[str], prefixes: Sequence[str], function: TrialFunction) -> dict[str, str]:
    """The column of each parameter; one with a prefix says more surely that it is a parameter's."""
    found: dict[str, str] = {}
    for column in sorted(columns, key=lambda column: not column.startswith(tuple(prefixes))):
        parameter = function.named(_bare(column, prefixes))
        if parameter is not None:
            found.setdefault(parameter.name, column)
    return found


def _record(
    number: int, row: Mapping[str, str], params: Mapping[str, str], metrics: Mapping[str, str], function: TrialFunction
) -> Record:
    """A row as if it had come from the store."""
    typed = {name: _typed(function.parameters[name], row[column]) for name, column in params.items() if row[column]}
    values = {name: value for name, column in metrics.items() if (value := _number(row[column])) is not None}
    epochs = next((row[name] for name in EPOCHS if row.get(name, "").isdigit()), "0")
    key = str(number)
    return Record(key, key, key, _outcome(row), "", dict(typed), values, {"epochs_run": epochs})


def _outcome(row: Mapping[str, str]) -> Outcome | None:
    """How the trial ended; a row that does not say it has come to its end."""
    said = next((row[name] for name in OUTCOMES if row.get(name)), "")
    if said:
        return Outcome(said) if said in list(Outcome) else None
    status = next((row[name] for name in STATUSES if row.get(name)), "FINISHED")
    return BY_STATUS.get(status)


def _typed(parameter: Parameter, text: str) -> Any:
    """A cell as a value of its parameter; a text that this cannot have stays as it is, and is none of its values."""
    for value in _readings(text):
        try:
            return parameter.validate(value)
        except ValueError:
            continue
    return in_a_line(text)


def _readings(text: str) -> list[Any]:
    """What a text may stand for, most likely first."""
    words = {"True": True, "False": False, "None": None}  # as Python writes them
    with suppress(ValueError):  # of a number that is too long
        return [words.get(text, scalar(text)), text]
    return [text]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
