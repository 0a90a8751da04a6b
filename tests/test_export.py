"""`sweep export`: a sweep as CSV, and as a study in a storage of Optuna's."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas
import pytest
from optuna.trial import TrialState

import orchestrator

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"


@pytest.mark.slow
def test_trials_and_curves_come_out_as_pandas_has_them(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 2}, {x: 3, mode: nan}, {x: 4, mode: raise}]\n")
    sweep("launch", path, "--quiet", "--executor", "inline")
    done = sweep("export", "toy")
    assert (done.returncode, done.stdout) == (0, "exports/toy/trials.csv\nexports/toy/curves.csv\n")
    known = orchestrator.load_sweep(path)
    trials = pandas.read_csv("exports/toy/trials.csv", index_col="trial", keep_default_na=False, na_values=[""]).fillna(
        {"remark": ""}
    )
    pandas.testing.assert_frame_equal(trials, known.trials, check_dtype=False)
    curves = pandas.read_csv("exports/toy/curves.csv", index_col=["trial", "epoch"])
    pandas.testing.assert_frame_equal(curves, known.curves, check_dtype=False)

    write(TOY + "configs: [{x: 1}, {x: 5}]\n")
    told = json.loads(sweep("export", path, "--out", "here", "--json").stdout)
    assert (told["kind"], told["optuna"]) == ("export", None)
    with Path(told["trials"]).open(newline="") as file:
        assert [row["x"] for row in csv.DictReader(file)] == ["1.0"]
    assert Path(told["curves"]).parent == folder / "here"


@pytest.mark.slow
def test_what_a_spreadsheet_would_compute_is_a_text(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    (folder / "mine.py").write_text(
        "def train(config: dict):\n    yield {'epoch': 1, 'loss': 1.0}\n    return {'end': float(len(config))}\n"
    )
    write('trial: mine:train\nparameters: {a: {value: "=1+1"}, b: {value: [64, "x,y"]}}\n')
    sweep("launch", "toy.yaml", "--quiet", "--executor", "inline")
    assert sweep("export", "toy").returncode == 0
    with (folder / "exports/toy/trials.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["a"], row["b"], row["end"]) == ("'=1+1", '[64, "x,y"]', "2.0")


@pytest.mark.slow
def test_the_study_goes_into_a_storage_with_explosions_as_infeasible(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 2}, {x: 3, mode: nan}, {x: 4, mode: raise}]\n")
    sweep("launch", path, "--quiet", "--executor", "inline")
    done = sweep("export", path, "--optuna", "sqlite:///study.db")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "sqlite:///study.db")
    study = optuna.load_study(study_name="toy", storage="sqlite:///study.db")
    found = {trial.user_attrs["run_id"]: trial for trial in study.trials}
    assert {run: trial.state for run, trial in found.items()} == {
        row["run_id"]: TrialState.FAIL if row["outcome"] == "failed" else TrialState.COMPLETE
        for _, row in orchestrator.load_sweep("toy").trials.iterrows()
    }
    (lost,) = (trial for trial in study.trials if any(far > 0 for far in trial.constraints.values()))
    assert (lost.user_attrs["outcome"], lost.params["x"], lost.value) == ("loss explosion", 3, pytest.approx(1 / 15))
    assert lost.user_attrs["trial"] == "x=3 mode=nan"
    assert (study.best_params["x"], study.best_value) == (1, 0.3)

    again = sweep("export", path, "--optuna", "sqlite:///study.db")
    assert again.returncode == 2
    assert again.stderr.startswith("sweep: --optuna sqlite:///study.db: has a study toy already; name another storage")
    for url, says in (
        ("nonsense", "--optuna nonsense: "),
        ("sqlite:////nowhere/at/all.db", "--optuna sqlite:////nowh"),
    ):
        wrong = sweep("export", path, "--optuna", url)
        assert wrong.returncode == 2
        assert says in wrong.stderr
        assert wrong.stderr.count("\n") == 1
