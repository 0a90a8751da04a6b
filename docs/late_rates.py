"""How often whole trainings explode, with Wilson's 95% interval, from the rows of docs/reproduction/runs.csv."""

from collections.abc import Sequence

from orchestrator.comparison.intervals import wilson
from orchestrator.trial import Outcome

WHOLE = "50"  # epochs
SETTING = ("architecture", "num_layers", "latent_dim", "batch_size", "lr", "variant")
REPORTS = ("conv", "3", "20", "1024", "0.005", "")  # the report's setting, but for var

Row = dict[str, str]


def whole(rows: Sequence[Row]) -> list[Row]:
    """Those of all epochs."""
    return [row for row in rows if row["epochs"] == WHOLE]


def setting(row: Row) -> str:
    """What a row has that the report's setting has not, var apart."""
    changed = [f"{name}={row[name]}" for name, plain in zip(SETTING, REPORTS, strict=True) if row[name] != plain]
    return ", ".join(text.removeprefix("variant=") for text in changed)


def exploded(rows: Sequence[Row]) -> str:
    """How many of the rows exploded: "0 of 15 (0% to 20%)"."""
    count = sum(row["outcome"] == Outcome.EXPLODED for row in rows)
    return f"{count} of {len(rows)} ({percent(count, len(rows))})" if rows else "not run"


def percent(count: int, total: int) -> str:
    """The interval of a rate: "0% to 39%"."""
    low, high = wilson(count, total)
    return f"{low:.0%} to {high:.0%}"


def of_setting(rows: Sequence[Row], wanted: str, var: float) -> str:
    """How many of a setting's whole trainings exploded at a var."""
    return exploded([row for row in whole(rows) if setting(row) == wanted and float(row["var"]) == var])


def convolutions(rows: Sequence[Row], var: float) -> str:
    """How many whole trainings of convolutions exploded at a var, whatever else they had."""
    return exploded([row for row in whole(rows) if row["architecture"] == "conv" and float(row["var"]) == var])


def choices(rows: Sequence[Row], var: float) -> dict[str, str]:
    """The settings of three convolutions that have been run at a var, and are not the report's: how many exploded."""
    found = dict.fromkeys(setting(row) for row in whole(rows) if float(row["var"]) == var)
    return {one: of_setting(rows, one, var) for one in found if one and "architecture" not in one}
