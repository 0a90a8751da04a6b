"""Values that are longer than MLflow takes, and more parameters than it takes at a time."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import artifacts, children

from orchestrator.trackers import Store, trial_params

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
PROMPT = "x" * 9000
WORDY = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    prompt: str = ""
    seed: int = 0

def train(config: Config):
    yield {"epoch": 1, "length": len(config.prompt)}
"""


def test_parameters_of_any_length_are_read_back_from_tags() -> None:
    for params in ({"lr": 0.1}, {"a": "ü" * 5000, "b": ["]", '"'] * 5000}, {}):
        tags = trial_params.tags(params)
        assert all(len(value) <= 8000 for value in tags.values())
        assert trial_params.read(tags) == params
    assert trial_params.tags({"lr": 0.1}) == {"params": '{"lr": 0.1}'}


@pytest.mark.slow
def test_a_long_value_is_cut_in_params_whole_in_an_artifact_and_right_where_it_is_read_back(
    folder: Path, store: str, write: Write, sweep: Sweep
) -> None:
    (folder / "wordy.py").write_text(WORDY)
    text = f"trial: wordy:train\nparameters: {{prompt: {{values: [{PROMPT}a, {PROMPT}b, short]}}}}\n"
    path = write(text, "wordy.yaml")
    launched = sweep("launch", path, "--executor", "inline")
    assert launched.returncode == 0, launched.stderr
    assert PROMPT not in launched.stdout
    records = Store(store).records("wordy")
    assert [record.params["prompt"] for record in records] == [f"{PROMPT}a", f"{PROMPT}b", "short"]
    assert len({record.label for record in records}) == 3
    assert max(len(record.label) for record in records) < 100
    short, long, _ = children(store, "wordy")
    assert long.data.params["prompt"] == "x" * 5997 + "..."
    assert long.data.metrics["length"] == 9001
    assert artifacts(store, short) == set()
    assert artifacts(store, long) == {"params.json"}
    client = MlflowClient(tracking_uri=store)
    whole = Path(client.download_artifacts(long.info.run_id, "params.json", str(folder))).read_text()
    assert json.loads(whole) == Store(store).record(long.info.run_id).params
    again = sweep("launch", path, "--executor", "inline")
    assert again.returncode == 0
    assert len(children(store, "wordy")) == 3
    assert sweep("report", "wordy").returncode == 0

    other = write(f"reuse: true\n{text}", "other.yaml")
    assert sweep("launch", other, "--executor", "inline").returncode == 0
    taken = Store(store).records("other")
    assert all(record.is_reused for record in taken)
    assert {record.params["prompt"] for record in taken} == {record.params["prompt"] for record in records}


@pytest.mark.slow
def test_a_function_may_have_more_parameters_than_mlflow_takes_at_a_time(
    folder: Path, store: str, write: Write, sweep: Sweep
) -> None:
    fields = "\n".join(f"    p{i}: int = {i}" for i in range(130))
    (folder / "wide.py").write_text(WORDY.replace('    prompt: str = ""', fields).replace("len(config.prompt)", "1"))
    assert sweep("launch", write("trial: wide:train", "wide.yaml"), "--executor", "inline").returncode == 0
    (run,) = children(store, "wide")
    assert len(run.data.params) == 131
    assert run.data.params["p129"] == "129"
    assert sweep("launch", write("trial: wide:train\nreuse: true", "w2.yaml"), "--executor", "inline").returncode == 0
    assert len(children(store, "w2")[0].data.params) == 131
