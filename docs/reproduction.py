"""Writes docs/reproduction.md from docs/reproduction/runs.csv, by the tables and verdicts of `sweep report`.

make report
python docs/reproduction.py --add sqlite:///mlruns/mlflow.db    # first takes in what a store has that is new
"""

import argparse
import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from late_rates import Row, choices, convolutions, of_setting
from reproduction_chart import draw

from models.config import TrainConfig
from orchestrator import functions
from orchestrator.functions import TrialFunction
from orchestrator.reports import results
from orchestrator.reports.configurations import Run, RunGroup, configurations_of, measured
from orchestrator.reports.document import ReportTable
from orchestrator.reports.page import SIGNS
from orchestrator.reports.verdict import OurResult, rule
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.sweep_spec import ReferenceRow
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.record import Record

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "reproduction.md"
FOLDER = ROOT / "docs" / "reproduction"
RUNS, CURVES = FOLDER / "runs.csv", FOLDER / "curves.csv"
CHART = FOLDER / "rows.svg"
SWEEPS = ROOT / "sweeps" / "report"
VARIANTS = ROOT / "examples" / "late.yaml"
TITLES = {
    "baseline": "The final model",
    "architecture": "Fully connected or convolutional",
    "num_layers": "How many convolutions",
    "latent_dim": "Latent dimensions",
    "attention": "Attention",
    "var": "The variance of the decoder",
    "batch_size": "The batch size",
    "learning_rate": "The learning rate",
}
PRECISION = "precision=bf16"
PARAMETERS = tuple(field.name for field in fields(TrainConfig))
FIGURES = ("ssim", "mse", "ssim_mean", "mse_mean", "val_loss", "train_loss")
TAGS = ("epochs_run", "wall_seconds", "threads")
BLACK = {"test": 0.11396, "val": 0.11286}  # the MSE of black images beside MNIST's
TOLERANCE = 0.001  # what still counts as black

ALIKE = ("num_layers=2", "num_layers=3", "latent_dim=10", "latent_dim=30", "architecture=attention", "lr=0.006")


@dataclass(frozen=True)
class Table:
    """A table of the report, held against what ours came to."""

    title: str
    spec: SweepSpec
    configurations: Sequence[RunGroup]
    among: Sequence[RunGroup] = ()  # every row of ours, of whatever table

    @property
    def compared(self) -> str:
        """As Markdown."""
        return _markdown(self.grid)

    @property
    def grid(self) -> ReportTable | None:
        """Each published figure beside ours, as it is told from every other row of ours."""
        part = results.comparison(self.spec, self.configurations, self.among)
        return part.grid if part else None


def read(path: Path) -> list[Row]:
    """The rows of a file, none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows to a file, which begins with the names of its columns."""
    is_new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore", restval="")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def all_rows() -> list[Row]:
    """The finished runs, with those of variants; each with its last training loss, if curves.csv has that."""
    losses = {(row["trial_key"], row["epoch"]): row["train_loss"] for row in read(CURVES)}
    return [{**row, "train_loss": losses.get((row["trial_key"], row["epochs_run"]), "")} for row in read(RUNS)]


def rows() -> list[Row]:
    """The finished runs of the model as it is."""
    return [row for row in all_rows() if not row["variant"]]


def is_black(mse: float, part: str) -> bool:
    """Whether the error is that of black images, beside the `test` or `val` images."""
    return abs(mse - BLACK[part]) < TOLERANCE


def table(name: str, runs: Sequence[Row]) -> Table:
    """One of the report's tables, from every run of its configurations, whatever sweep it was run by."""
    spec = load(SWEEPS / f"{name}.yaml", [PRECISION])
    trials = expand(spec).trials
    known: dict[str, list[Record]] = {}
    for row in runs:
        record = _record(row)
        known.setdefault(_config_key(spec, record), []).append(record)
    found = [
        Run(trial.params, trial.config_key, trial.label, record, True, str(record.outcome) if record else "not run")
        for trial in trials
        for record in known.get(trial.config_key, [None])
    ]
    return Table(TITLES[name], spec, configurations_of(spec, found))


def document(runs: Sequence[Row]) -> str:
    """The page."""
    environment = Environment(  # noqa: S701 - Markdown of our own figures
        loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    tables = all_tables(runs)
    hours = sum(float(row["wall_seconds"]) for row in runs) / 3600
    told = {"count": len(runs), "hours": f"{hours:.0f}", "ours": partial(ours, runs)}
    told["convolutions"] = sum(row["architecture"] != "fc" for row in runs)
    told["verdicts"] = verdicts([*tables.values()])
    told["swapped"] = swapped([*tables.values()])
    told |= {"exploded": partial(of_setting, all_rows()), "choices": partial(choices, all_rows())}
    told["of_convolutions"] = partial(convolutions, all_rows())
    rules = rule([functions.default_trial().declaration])
    return environment.get_template("words.md").render(tables=tables, rule=rules, **told)


def all_tables(runs: Sequence[Row]) -> dict[str, Table]:
    """All of the report's tables, each held against the rows of all of them."""
    tables = {name: table(name, runs) for name in TITLES}
    groups = [group for one in tables.values() for group in one.configurations if any(run.record for run in group.runs)]
    groups.sort(key=lambda group: "=" not in group.label)  # a table of one row has no name for it
    among = {group.configuration.config_key: group for group in reversed(groups)}
    return {name: replace(one, among=[*among.values()]) for name, one in tables.items()}


def verdicts(tables: Sequence[Table]) -> Counter[str]:
    """How often each verdict is given, on figures that stand in several tables once."""
    found: dict[tuple[str, ...], str] = {}
    for one in tables:
        for _, metric, published, ours_, _, judged, _ in one.grid.rows if one.grid else ():
            found.setdefault((published.text, metric.text, ours_.text), judged.text)
    return Counter(found.values())


def swapped(tables: Sequence[Table]) -> str:
    """Of the alike rows at var 0.5, how many wrong pairs of a published SSIM and one of ours agree: "30 of 30"."""
    rows = [(spec_row(one, group), group) for one in tables for group in one.configurations]
    alike = {label: (row, group) for label in ALIKE for row, group in rows if row and group.label == label}
    tolerance = functions.default_trial().declaration.tolerance("ssim")
    pairs = [
        (row.metrics["ssim"], OurResult(group.values("ssim")))
        for own, (row, _) in alike.items()
        for other, (_, group) in alike.items()
        if own != other
    ]
    agreeing = sum(result.agrees(figure, tolerance.around(figure)) for figure, result in pairs if tolerance)
    return f"{agreeing} of {len(pairs)}"


def spec_row(one: Table, group: RunGroup) -> ReferenceRow | None:
    """The published row of a configuration."""
    published = one.spec.reference.rows if one.spec.reference else ()
    return next((row for row in published if row.params.items() <= group.params.items()), None)


def chart_rows(runs: Sequence[Row]) -> list[tuple[str, ReferenceRow, RunGroup]]:
    """Every published row once, with its label and ours."""
    found: dict[str, tuple[str, ReferenceRow, RunGroup]] = {}
    for name in TITLES:
        one = table(name, runs)
        for row in one.spec.reference.rows if one.spec.reference else ():
            for configuration in one.configurations:
                if row.params.items() <= configuration.params.items():
                    found.setdefault(configuration.runs[0].config_key, (configuration.label, row, configuration))
    return [*found.values()]


def ours(runs: Sequence[Row], **params: object) -> str:
    """What runs with these parameters came to, the others being the report's: "SSIM 0.851 ± 0.006, MSE 0.0132, ...".

    Figures are of those that learned: neither exploded, nor left with a decoder that gives black images alone.
    """
    wanted = {**asdict(TrainConfig(precision="bf16")), **params}
    del wanted["seed"]
    found = [record for row in runs if wanted.items() <= (record := _record(row)).params.items()]
    completed = [record.metrics for record in found if record.outcome is Outcome.COMPLETED]
    learned = [metrics for metrics in completed if not is_black(metrics["mse"], "test")]
    figures = [f"{name.upper()} {measured([one[name] for one in learned])}" for name in ("ssim", "mse") if learned]
    seeds = f"{len(found)} seed{'s' * (len(found) != 1)}"
    broken = {"exploded": len(found) - len(completed), "turned black": len(completed) - len(learned)}
    ended = " and ".join(f"{count} of {seeds} {how}" for how, count in broken.items() if count) or seeds
    return f"{', '.join(figures)}{' ' * bool(figures)}({ended})" if found else "not run"


def add(uri: str) -> int:
    """Take in the trials of the VAE and its variants, as they are, on MNIST, that the file lacks; returns how many."""
    from orchestrator.trackers import Store

    known = {row["trial_key"] for row in all_rows()}
    store, found = Store(uri), []
    for name in store.sweeps():
        for record in store.records(name):
            is_result = record.outcome in (Outcome.COMPLETED, Outcome.EXPLODED)
            is_new = record.trial_key not in known and not record.is_reused
            function = _function(record) if is_result and is_new and record.params.get("dataset") == "mnist" else None
            if function is not None:
                known.add(record.trial_key)
                found.append({**_row(name, record), "variant": variant(function, record.params)})
    columns = RUNS.read_text().splitlines()[0].split(",")
    append(RUNS, columns, found)
    return len(found)


def _record(row: Row) -> Record:
    params = asdict(TrainConfig(**{name: row[name] for name in PARAMETERS}))  # type: ignore[arg-type]
    metrics = {name: float(row[name]) for name in FIGURES if row.get(name)}
    tags = {name: row[name] for name in TAGS}
    return Record("", row["trial_key"], "", Outcome(row["outcome"]), "", params, metrics, tags)


def _row(name: str, record: Record) -> Row:
    told = {**record.params, **{name: repr(record.metrics[name]) for name in FIGURES if name in record.metrics}}
    known = {"sweep": name, "trial_key": record.trial_key, "outcome": str(record.outcome)}
    commit = record.tags.get("mlflow.source.git.commit", "")[:12]
    row = {**told, **known, **{name: record.tags.get(name, "") for name in TAGS}, "commit": commit}
    return {name: str(value) for name, value in row.items()}


@cache
def _functions() -> list[TrialFunction]:
    """The VAE's, and that of its variants."""
    return [functions.default_trial(), load(VARIANTS).function]


def _function(record: Record) -> TrialFunction | None:
    """Whose trial it is, as the functions are now."""
    of = (one for one in _functions() if one.trial(record.params, "").trial_key == record.trial_key)
    return next(of, None)


def variant(function: TrialFunction, params: Params) -> str:
    """What a variant has that the model has not: "hidden=512, clip=1.0"."""
    own = {name: parameter for name, parameter in function.parameters.items() if name not in PARAMETERS}
    return ", ".join(f"{name}={params[name]}" for name in own if params[name] != own[name].default)


def _config_key(spec: SweepSpec, record: Record) -> str:
    return Trial(spec.function.name, spec.function.version, record.params, "").config_key


def _markdown(grid: ReportTable | None) -> str:
    if grid is None:
        return ""
    lines = [grid.header, ["---"] * len(grid.header)]
    for cells in grid.rows:
        texts = (f"{SIGNS[cell.verdict]} {cell.text}" if cell.verdict else cell.text for cell in cells)
        lines.append([f"**{text}**" if cell.is_best else text for cell, text in zip(cells, texts, strict=True)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the page and its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", metavar="URI", help="a store of which to take in what is new")
    uri = parser.parse_args().add
    if uri:
        print(f"{add(uri)} runs taken in")
    DOCUMENT.write_text(document(rows()))
    draw(chart_rows(rows()), CHART)
    print(DOCUMENT.relative_to(ROOT), CHART.relative_to(ROOT))


if __name__ == "__main__":
    main()
