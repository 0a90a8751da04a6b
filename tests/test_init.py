"""A sweep file to start from, asked for by questions or copied: it plans, and nothing is ever overwritten."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml
from terminals import on_terminal

from orchestrator import plan
from orchestrator.commands import template
from orchestrator.functions import find
from orchestrator.schema import schema
from orchestrator.spec import load
from orchestrator.spec.form import SweepFile
from orchestrator.spec.strict import ignored

ROOT = Path(__file__).parent.parent
Sweep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
@pytest.mark.parametrize("name", template.shipped())
def test_a_copy_asks_for_what_its_model_asks_for(folder: Path, name: str) -> None:
    known = find("models.train:train").parameters
    path = folder / "2024.yaml"
    path.write_text(template.copied(name, "2024", known))
    ours, theirs = load(path), load(template.SHIPPED / f"{name}.yaml")
    assert ours.name == "2024"
    nowhere = "sqlite:////nowhere/mlflow.db"
    made, model = plan.make(ours, nowhere, None), plan.make(theirs, nowhere, None)
    assert [trial.params for trial in made.trials] == [trial.params for trial in model.trials]
    assert made.proposals == model.proposals
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=sweep.schema.json"
    for key in SweepFile.model_fields.keys() - {*ignored(SweepFile)}:
        assert any(line.startswith((f"{key}:", f"# {key}:")) for line in lines), key
    given = {
        *ours.domains,
        *(key for row in (*ours.zipped, *ours.configs) for key in row),
        *(["seed"] if ours.seeds else []),
    }
    assert {name for name in known if any(line.startswith(f"  # {name}: ") for line in lines)} == known.keys() - given


def test_what_is_commented_out_can_be_taken_in(folder: Path) -> None:
    text = template.copied("report/var", "var", find("models.train:train").parameters)
    (folder / "var.yaml").write_text(text.replace("  # lr:", "  lr:").replace("# retries:", "retries:"))
    spec = load(folder / "var.yaml")
    assert spec.domains["lr"].grid() == (0.005,)
    assert spec.retries == 2


@pytest.mark.slow
def test_a_shipped_sweep_is_copied_with_its_schema_and_never_over_a_file(folder: Path, sweep: Sweep) -> None:
    done = sweep("init", "--from", "report/var")
    assert (done.returncode, done.stderr) == (0, "")
    assert "`sweep plan var.yaml`" in done.stdout
    assert "to run: 4 of 4" in sweep("plan", "var.yaml").stdout
    jsonschema.validate(yaml.safe_load((folder / "var.yaml").read_text()), schema())
    assert (folder / "sweep.schema.json").read_text() == (ROOT / "sweeps" / "sweep.schema.json").read_text()

    before = (folder / "var.yaml").read_text()
    refused = sweep("init", "--from", "report/var")
    assert refused.returncode == 2
    assert refused.stderr == "sweep: var.yaml: exists already and is not overwritten; name another file\n"
    assert (folder / "var.yaml").read_text() == before
    misspelled = sweep("init", "--from", "report/vra")
    assert misspelled.stderr == "sweep: --from report/vra: there is no such sweep to copy; did you mean report/var?\n"
    assert sweep("init", "nowhere/x.yaml", "--from", "quickstart").returncode == 2
    assert sweep("init", "--from", "quickstart.yaml").stdout.startswith("wrote quickstart.yaml")


@pytest.mark.slow
def test_without_anybody_to_ask_it_says_what_to_do(folder: Path, command: Sweep) -> None:
    done = command("init")
    assert done.returncode == 2
    assert (
        done.stderr
        == "sweep: init asks questions, but standard input is not a terminal; copy a sweep instead, for example with "
        "--from quickstart, or name what to sweep: --trial mine:train, --program train.py\n"
    )
    assert not (folder / "sweep.yaml").exists()


@pytest.mark.slow
def test_questions_make_a_file_that_plans(folder: Path) -> None:
    answers = {
        "Parameters to vary": "var, lrr",
        "did you mean lr?": "precision, var, lr",
        "[fp32, bf16]": "fp32..bf16",
        "a range needs numbers": "fp32",
        "[0.5, 0.25, 0.125]": "0.5, abc",
        "Error: input should be a valid number": "0.5, 0.25",
        "[0.01, 0.005, 0.0025]": "1e-3..1e-2",
        "Method": "grid",
        "Error: use one of": "gp",
        "Trials in total": "",
        "Metric": "val_mse",
        "Seeds": "3",
        "Dataset": "digits",
        "Epochs": "",
    }
    screen, status = on_terminal(["-m", "orchestrator", "init", "mine.yaml"], size=(200, 50), answers=answers)
    assert status == 0, screen.text
    spec = load(folder / "mine.yaml")
    assert (spec.method.name, spec.run_cap, spec.seeds) == ("gp", 40, (0, 1, 2))
    assert (spec.objectives[0].name, spec.objectives[0].goal) == ("val_mse", "minimize")
    assert spec.domains["var"].grid() == (0.5, 0.25)
    swept = spec.domains["lr"]
    assert (swept.low, swept.high, swept.log) == (1e-3, 1e-2, True)  # type: ignore[union-attr]
    assert spec.domains["dataset"].grid() == ("digits",)
    assert "# Learning rate of Adam. (above 0)" in (folder / "mine.yaml").read_text()


@pytest.mark.slow
def test_who_has_had_enough_of_questions_leaves_no_file(folder: Path) -> None:
    _, status = on_terminal(["-m", "orchestrator", "init"], answers={"Parameters to vary": "\x04"})
    assert status == 130
    assert list(folder.glob("*.yaml")) == []


@pytest.mark.slow
def test_a_wheel_has_the_sweeps_and_says_that_it_is_typed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("models", "orchestrator", "sweeps"):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert all((tmp_path / "site" / package / "py.typed").exists() for package in ("models", "orchestrator"))
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "init", "--from", "report/var"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(load(tmp_path / "var.yaml").domains["var"].grid()) == 4
