"""The page on the report's reproduction, from the file of its runs."""

import csv
import statistics
from pathlib import Path

import explosions_tables
import late_rates
import late_warnings
import pytest
import reproduction

from orchestrator.events import Finished, Progress, Started
from orchestrator.spec import load
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome, Params
from orchestrator.trials.grid import expand

ROOT = Path(__file__).parent.parent


def test_the_page_is_what_its_runs_make() -> None:
    assert reproduction.DOCUMENT.read_text() == reproduction.document(reproduction.rows()), "make report renews it"


def test_the_page_on_explosions_is_what_its_files_make() -> None:
    assert explosions_tables.DOCUMENT.read_text() == explosions_tables.document(), "make report renews it"


@pytest.mark.slow
def test_every_run_has_a_file_that_asks_for_it_again() -> None:
    asked: dict[str, list[dict[str, str]]] = {}
    for folder, sets in (("sweeps", []), ("sweeps/report", ["precision=bf16"]), ("examples", [])):
        for path in sorted((ROOT / folder).glob("*.yaml")):
            spec = load(path, sets)
            if spec.method.is_exhaustive:
                asked[spec.name] = [asked_for(spec, trial.params) for trial in expand(spec).trials]
    for row in reproduction.all_rows():
        params = {name: row[name] for name in (*reproduction.PARAMETERS, "variant")}
        assert params in asked[row["sweep"]], params


def asked_for(spec: SweepSpec, params: Params) -> dict[str, str]:
    plain = {name: str(params[name]) for name in reproduction.PARAMETERS if name in params}
    return {**plain, "variant": reproduction.variant(spec.function, params)}


def test_a_late_explosion_stands_in_the_row_of_its_setting() -> None:
    plain = reproduction.rows()[0] | {"variant": "", "precision": "fp32"}
    rows = [
        plain | {"variant": "hidden=512", "var": "0.2", "seed": "0", "outcome": "loss explosion", "epochs_run": "30"},
        plain | {"variant": "hidden=512", "var": "0.2", "seed": "1", "ssim": "0.8", "mse": "0.02"},
        plain | {"variant": "hidden=512", "var": "0.2", "seed": "2", "ssim": "0.24", "mse": "0.1139"},
        plain | {"variant": "", "var": "0.2", "ssim": "0.85", "mse": "0.01"},
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in explosions_tables.late(rows).splitlines()]
    assert lines[2:] == [
        ["the report's setting", "0.2", "1", "0", "0% to 79%", explosions_tables.NONE, "0", "0.850"],
        ["hidden=512", "0.2", "3", "1", "6% to 79%", "31", "1", "0.800"],
    ]
    assert late_rates.of_setting(rows, "hidden=512", 0.2) == "1 of 3 (6% to 79%)"
    assert late_rates.of_setting(rows, "hidden=512", 0.22) == "not run"
    assert late_rates.choices([*rows, plain | {"architecture": "fc", "var": "0.2"}], 0.2) == {
        "hidden=512": "1 of 3 (6% to 79%)"
    }


def epochs(seed: int, count: int, outcome: str, *, jump: int = 0, highest: float = 2.0) -> list[dict[str, str]]:
    """The epochs of a run, whose gradient jumps in one of them."""
    run = {"trial": f"{seed} {count} {jump} {highest}", "seed": str(seed), "outcome": outcome}
    steady = {"median_gradient": "1", "highest_log_variance": str(highest)}
    return [
        {**run, **steady, "epoch": str(epoch), "highest_gradient": "50" if epoch == jump else "3"}
        for epoch in range(1, count + 1)
    ]


def test_a_warning_is_beyond_the_quiet_runs_of_the_first_seed_and_comes_before_the_epoch_of_the_explosion() -> None:
    rows = [
        *epochs(0, 50, "completed"),  # sets the limits
        *epochs(0, 20, "loss explosion", jump=3, highest=1.0),  # sets none, and is judged
        *epochs(2, 20, "loss explosion", jump=15),
        *epochs(2, 50, "completed", jump=9),
        *epochs(3, 50, "completed", highest=2.5),
        *epochs(3, 10, "loss explosion", jump=10),
    ]
    _, lines = late_warnings.table(rows)
    assert [line[1:] for line in lines] == [
        ["3", "2 of 3", "5, 17", "1 of 2"],
        ["2", "0 of 3", late_warnings.NONE, "1 of 2"],
    ]


def test_a_row_counts_in_each_table_that_has_its_configuration_whatever_its_seed() -> None:
    whole = {row["seed"]: row for row in reproduction.rows() if row["var"] == "0.25" and row["precision"] == "bf16"}
    rows = [{**row, "ssim": "0.5", "mse": "0.02"} for row in whole.values()]
    for name in ("baseline", "var"):
        text = reproduction.table(name, rows).compared
        assert "| var=0.25 | SSIM | 0.8504 | 0.5000 ± 0 | -0.35 (-41.2%) | ✗ differs |" in text
    assert "0.5000" not in reproduction.table("num_layers", rows).compared  # which is at var 0.5
    exact = [{**row, "precision": "fp32"} for row in rows]
    assert "0.5000" not in reproduction.table("var", exact).compared


def test_what_a_store_has_is_taken_in_once(store: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load(ROOT / "sweeps" / "report" / "var.yaml", ["precision=bf16"])
    tracker = Tracker(store, spec)
    trials = expand(spec).trials
    tracker.open(len(trials))
    figures = {"ssim": 0.75, "mse": 0.02}
    for trial in trials[:2]:
        workdir = folder / "work" / trial.trial_key
        workdir.mkdir(parents=True)
        end = Finished(Outcome.COMPLETED, figures)
        tracker.write(trial, [Started(1, 1), Progress(1, {"val_loss": 40.0}, at=1.0), end], workdir)
    tracker.abandon()
    runs = folder / "runs.csv"
    runs.write_text(reproduction.RUNS.read_text().splitlines()[0] + "\n")
    monkeypatch.setattr(reproduction, "RUNS", runs)
    assert (reproduction.add(store), reproduction.add(store)) == (2, 0)
    with runs.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sweep"], row["var"], row["ssim"], row["val_loss"]) for row in rows] == [
        ("var", "0.5", "0.75", "40.0"),
        ("var", "0.25", "0.75", "40.0"),
    ]
    assert "| var=0.5 | SSIM | 0.7854 | 0.7500 |" in reproduction.table("var", rows).compared


def test_what_the_page_says_of_bf16_is_what_the_runs_show() -> None:
    with (ROOT / "docs" / "reproduction" / "runs.csv").open() as file:
        runs = [row for row in csv.DictReader(file) if row["sweep"] == "precision" and row["var"] == "0.25"]
    losses = {name: [float(run["val_loss"]) for run in runs if run["precision"] == name] for name in ("fp32", "bf16")}
    higher = f"{statistics.mean(losses['bf16']) / statistics.mean(losses['fp32']) - 1:.1%}"
    assert f"validation loss was {higher} higher at var 0.25" in (ROOT / "docs" / "reproduction.md").read_text()
    assert f"nats, {higher}" in (ROOT / "docs" / "performance.md").read_text()
