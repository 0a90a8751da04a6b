"""The callbacks of other frameworks, in the environment that `make integrations` makes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from reading import children, outcomes, steps

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / "build" / "integrations" / "bin" / "python"
EXAMPLES = {  # what each reports of an epoch, among other things
    "digits_lightning": "val_accuracy",
    "digits_huggingface": "eval_accuracy",
    "digits_keras": "val_accuracy",
}
pytestmark = [pytest.mark.integrations, pytest.mark.timeout(400)]

# Trains four epochs, cut off after the second; and another trial that is pruned after the first.
ATTEMPTS = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from orchestrator.divergence import DivergenceRule
from orchestrator.worker import runner

def task(workdir):
    Path(workdir).mkdir(exist_ok=True)
    return runner.Task(sys.argv[1] + ":train", {"epochs": 4}, Path(workdir), DivergenceRule())

def summary(events):
    return [(event.kind, getattr(event, "epoch", str(getattr(event, "outcome", "")))) for event in events]

steps, first = [], []
running = runner.run(task("cut"), on_step=lambda _, step, loss: steps.append(step))
for event in running:
    first.append(event)
    if getattr(event, "epoch", 0) == 2:
        running.close()
second = list(runner.run(task("cut")))
stops, pruned = {}, []
for event in runner.run(task("pruned"), stops=stops):
    pruned.append(event)
    if event.kind == "progress":
        stops[0] = "behind"
metrics = next(event.metrics for event in first if event.kind == "progress")
shown = {"cut": summary(first), "resumed": summary(second), "pruned": summary(pruned), "metrics": dict(metrics)}
Path("shown.json").write_text(json.dumps({**shown, "steps": steps}))
"""


def in_environment(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert PYTHON.exists(), "make integrations"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [PYTHON, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def attempts(folder: Path, module: str) -> dict[str, Any]:
    ended = in_environment(folder, "-c", ATTEMPTS, module)
    assert ended.returncode == 0, ended.stderr
    shown: dict[str, Any] = json.loads((folder / "shown.json").read_text())
    return shown


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_swept_and_what_explodes_in_it_is_seen_by_the_step(name: str, store: str, folder: Path) -> None:
    for file in (ROOT / "examples" / "integrations").glob(f"{name}.*"):
        shutil.copy(file, folder)
    ended = in_environment(folder, "-m", "orchestrator", "launch", f"{name}.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *fine, exploded = sorted(children(store, name), key=lambda run: float(run.data.params["lr"]))
    assert [run.data.tags["outcome"] for run in fine] == ["completed"] * 2
    for run in fine:
        assert steps(store, run, EXAMPLES[name]) == [*range(1, int(run.data.params["epochs"]) + 1)]
    assert exploded.data.tags["outcome"] == "loss explosion"
    assert 0 < int(exploded.data.tags["explosion.step"]) < 40


def test_the_page_is_followed_to_the_letter(store: str, folder: Path) -> None:
    page = (ROOT / "docs" / "frameworks.md").read_text()
    (function,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "pl.Trainer" in code]
    (file,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (folder / "mine.py").write_text(function)
    (folder / "mine.yaml").write_text(file)
    ended = in_environment(folder, "-m", "orchestrator", "launch", "mine.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sorted(str(outcome) for outcome in outcomes(store, "mine").values()) == [
        *("completed", "completed", "loss explosion")
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_ends_where_it_is_to_end_and_goes_on_from_its_checkpoint(name: str, folder: Path) -> None:
    shutil.copy(ROOT / "examples" / "integrations" / f"{name}.py", folder)
    check(attempts(folder, name), EXAMPLES[name])


def test_the_other_name_of_lightning_serves_as_well(folder: Path) -> None:
    text = (ROOT / "examples" / "integrations" / "digits_lightning.py").read_text()
    late = 'def on_train_epoch_end(self):\n        self.log("late", self.current_epoch + 7.0)\n\n    '
    text = text.replace("lightning.pytorch", "pytorch_lightning").replace(
        "def configure_opt", f"{late}def configure_opt"
    )
    (folder / "digits_other.py").write_text(text)
    shown = attempts(folder, "digits_other")
    check(shown, "val_accuracy")
    assert shown["metrics"]["late"] == 7.0


def check(shown: dict[str, Any], metric: str) -> None:
    assert shown["cut"] == [["started", ""], ["progress", 1], ["progress", 2]]
    kinds = [kind for kind, _ in shown["resumed"]]
    reported = [epoch for kind, epoch in shown["resumed"] if kind == "progress"]
    assert kinds == ["started", *["progress"] * len(reported), "finished"]
    assert reported in ([2, 3, 4], [3, 4])
    assert shown["resumed"][-1][1] == "completed"
    assert shown["pruned"] == [["started", ""], ["progress", 1], ["finished", "pruned"]]
    assert 0 < shown["metrics"][metric] <= 1
    assert shown["steps"] == [*range(1, len(shown["steps"]) + 1)]
    assert len(shown["steps"]) > 70
