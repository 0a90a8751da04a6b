"""Sweeps from Python: in this process, in a script, and in the notebook under examples/."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbclient
import nbformat
import pytest
from optuna.trial import TrialState

import orchestrator
from orchestrator.errors import InputError
from orchestrator.spec import load

ROOT = Path(__file__).parent.parent
Write = Callable[..., Path]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"


@pytest.mark.slow
def test_what_was_launched_is_at_hand(store: str, write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 4}, {x: 2, mode: raise}, {x: 3, mode: nan}]")
    sweep = orchestrator.launch(path, {"epochs": 4}, workers=2)
    told = capfd.readouterr().out
    assert "4 trials, 0 of them already finished" in told
    assert "x=3.0 mode=nan: loss explosion: " in told.replace("x=3 ", "x=3.0 ")
    assert sweep == orchestrator.load_sweep("toy") == orchestrator.load_sweep("toy", store)
    assert sweep == orchestrator.load_sweep(path) == orchestrator.load_sweep("toy.yaml")

    trials = sweep.trials
    assert sorted(trials.index) == ["x=1", "x=2 mode=raise", "x=3 mode=nan", "x=4"]
    assert dict(trials["outcome"]) == {
        "x=1": "completed",
        "x=4": "completed",
        "x=2 mode=raise": "failed",
        "x=3 mode=nan": "loss explosion",
    }
    first = trials.loc["x=1"]
    assert (first["epochs"], first["best_score"], first["final_score"]) == (4, 0.4, 1.0)
    assert first["seconds"] >= 0
    assert len(first["run_id"]) == 32
    assert trials["exploded"].sum() == 1
    assert "RuntimeError" in trials.loc["x=2 mode=raise", "remark"]

    study = sweep.study
    assert (study.study_name, study.best_value, study.best_params["x"]) == ("toy", 0.4, 1)
    states = [trial.state for trial in study.trials]
    assert sorted(states) == sorted([TrialState.COMPLETE] * 3 + [TrialState.FAIL])
    (lost,) = (trial for trial in study.trials if any(far > 0 for far in trial.constraints.values()))
    assert lost.user_attrs["outcome"] == "loss explosion"

    page = sweep.report()
    assert page == Path("reports/toy/report.html")
    assert "x=3 mode=nan" in page.read_text()
    assert sweep.report("elsewhere").parent == Path("elsewhere")

    # again, from a spec, and quietly: there is nothing left to do but what has failed
    spec = load(path, ["epochs=4", "x=4", "mode=fine"])
    assert orchestrator.launch(spec, quiet=True) == sweep
    assert capfd.readouterr().out == ""
    assert len(sweep.trials) == 4


@pytest.mark.slow
def test_a_metric_with_the_name_of_a_parameter_has_a_column_of_its_own(store: str, folder: Path, write: Write) -> None:
    (folder / "mine.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n\n"
        "def train(config: Config):\n    return {'x': 2.0}\n"
    )
    trials = orchestrator.launch(write("trial: mine:train\nmetric: {name: x}\n"), quiet=True).trials
    assert (trials["x"].iloc[0], trials["metrics.x"].iloc[0]) == (1.0, 2.0)


def test_mistakes_are_raised_with_what_to_do(store: str, write: Write) -> None:
    path = write(TOY)
    for call, says in [
        (lambda: orchestrator.load_sweep("toy"), "has no sweep toy; it has none"),
        (lambda: orchestrator.load_sweep("toy", "sqlite:///nowhere/x.db"), "has no sweep toy; it has none"),
        (lambda: orchestrator.launch("none.yaml"), "none.yaml: there is no such file"),
        (lambda: orchestrator.launch(path, {"y": 1}), "unknown parameter y"),
        (lambda: orchestrator.launch(load(path), {"x": 1}), "overrides need a file"),
        (lambda: orchestrator.launch(path, executor="gpu"), "there is no executor gpu"),
        (
            lambda: orchestrator.launch(path, executor="inline", trial_timeout=5),
            "the inline executor cannot end a trial",
        ),
        (lambda: orchestrator.launch(path, workers=0), "there must be at least 1 worker, and not 0"),
        (lambda: orchestrator.launch(path, trial_timeout=0), "the trial timeout must be above 0 seconds"),
        (
            lambda: ThreadPoolExecutor(1).submit(orchestrator.launch, path, quiet=True).result(),
            "launch a sweep from the main thread",
        ),
    ]:
        with pytest.raises(InputError, match=says):
            call()


def test_the_package_itself_imports_next_to_nothing() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import orchestrator; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    ours = [name for name in done.stdout.split() if name.split(".")[0] not in sys.stdlib_module_names]
    assert not {"mlflow", "numpy", "optuna", "pandas", "pydantic", "rich", "torch", "typer"} & {*ours}
    assert [name for name in ours if name.startswith("orchestrator")] == ["orchestrator"]
    declarations = ["Declaration", "Incomparable", "Metric", "Picture", "Plane", "Tiles", "Tolerance"]
    calls = ["Infeasible", "Sweep", "launch", "load_sweep", "report"]
    assert sorted(orchestrator.__all__) == sorted([*calls, *declarations])
    assert all(getattr(orchestrator, name) is not None for name in orchestrator.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lunch'"):
        _ = orchestrator.lunch


@pytest.mark.slow
def test_a_script_launches_without_a_guard(store: str, folder: Path, write: Write) -> None:
    write(TOY + "parameters: {x: {values: [1, 2]}}")
    (folder / "script.py").write_text(
        "import orchestrator\nprint('the script')\nprint(len(orchestrator.launch('toy.yaml', quiet=True).trials))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "the script\n2\n"), done.stderr


@pytest.fixture
def executed(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], nbformat.NotebookNode]:
    """Runs a notebook of the examples, in a copy of the project; gives it with what its cells have shown."""
    shutil.copytree(ROOT / "sweeps", tmp_path / "sweeps")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> nbformat.NotebookNode:
        notebook = nbformat.read(tmp_path / "examples" / name, as_version=4)
        resources = {"metadata": {"path": tmp_path / "examples"}}
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
        return notebook

    return run


def shown_by(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(
        output.get("text", "") or output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


@pytest.mark.slow
@pytest.mark.long
def test_the_notebook_of_a_sweep_file_runs(executed: Callable[[str], nbformat.NotebookNode]) -> None:
    shown = shown_by(executed("digits.ipynb"))
    assert "loss explosion" in shown
    assert "'var': 0.05" in shown
    assert "Error" not in shown


@pytest.mark.slow
def test_the_notebook_of_a_function_runs(
    executed: Callable[[str], nbformat.NotebookNode], sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    notebook = executed("function.ipynb")
    (launch,) = [cell for cell in notebook.cells if "orchestrator.launch(\n" in cell.source]
    (progress,) = [output for output in launch.outputs if output.output_type == "display_data"]
    assert "6/6 trials  completed 6" in progress["data"]["text/plain"]
    assert "completed" in progress["data"]["text/html"]
    shown = shown_by(notebook)
    assert "'epochs': 5}" in shown
    assert shown.splitlines()[-1] == "True"
    # the command finds the function, though its notebook has ended
    assert "best of 3 by accuracy (maximize): alpha=" in sweep("best", "digits-by-hand").stdout
