"""A trial trained again, in this process: the same numbers, and nothing written."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import children

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = """
trial: toys:train
metric: {name: score, goal: maximize}
parameters: {mode: {values: [fine, nan, raise]}, epochs: 4}
"""
SAME = "completed\nthe run ended in the same way; its numbers are the same, to the bit\n"
VAE = """
parameters: {dataset: digits, architecture: fc, num_layers: 1, batch_size: 64, epochs: 2, var: 0.05, lr: 50}
"""


def runs(store: str, name: str = "toy") -> dict[str, str]:
    return {run.data.tags["config"]: run.info.run_id for run in children(store, name)}


def everything(store: str) -> object:
    """All that the store has."""
    client = MlflowClient(tracking_uri=store)
    found = [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]
    return [run.to_dictionary() for run in found], sorted(Path("mlruns").rglob("*"))


@pytest.mark.slow
def test_a_trial_is_replayed_to_its_end_and_nothing_is_written(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY))
    before = everything(store)
    done = sweep("replay", runs(store)["mode=fine"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "replaying mode=fine of toy with toys:train",
        "training with x=1.0",
        "epoch 1/4: train_loss 10, val_loss 11, score 0.1",
        "epoch 2/4: train_loss 5, val_loss 6, score 0.2",
        "epoch 3/4: train_loss 3.3333, val_loss 4.3333, score 0.3",
        "epoch 4/4: train_loss 2.5, val_loss 3.5, score 0.4",
        "completed",
        "the run ended in the same way; its numbers are the same, to the bit",
    ]
    exploded = sweep("replay", runs(store)["mode=nan"])
    assert exploded.returncode == 0
    assert (
        "loss explosion: train_loss became nan after 5 at epoch 3\nthe run ended in the same way; " in exploded.stdout
    )
    failed = sweep("replay", runs(store)["mode=raise"])
    assert failed.returncode == 1
    assert "failed: RuntimeError: the toy broke" in failed.stdout
    assert everything(store) == before


@pytest.mark.slow
def test_the_vae_explodes_again_at_the_same_step(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(VAE, "vae.yaml"), "--executor", "inline")
    (run,) = children(store, "vae")
    done = sweep("replay", run.info.run_id)
    assert f"loss explosion: {run.data.tags['explosion.reason']}\nthe run ended in the same way" in done.stdout


def debugged(run_id: str, *commands: str) -> str:
    """What pdb says to these commands."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "replay", run_id, "--debug"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback (most recent call last)" in done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_debugger_breaks_where_the_function_called_watch(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write("trial: toys:watched"))
    (run,) = children(store, "toy")
    said = debugged(run.info.run_id, "p step, config.x", "q")
    (step,) = re.findall(r"\(Pdb\) \((\d+), 1\.0\)", said)
    assert 101 < int(step) < 400  # its loss jumps at 101, and is then looked at for a while
    assert "loss explosion" in said.splitlines()[-2]


@pytest.mark.slow
def test_the_debugger_breaks_where_a_trial_fails(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY))
    said = debugged(runs(store)["mode=raise"], "p mode", "q")
    assert "(Pdb) 'raise'" in said


@pytest.mark.slow
def test_a_run_that_cannot_be_replayed_is_said_in_a_line(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY))
    client = MlflowClient(tracking_uri=store)
    fine = runs(store)["mode=fine"]
    (parent,) = [run for run in client.search_runs(["1"]) if "sweep.role" in run.data.tags]
    other = client.create_run("0", run_name="other")
    for run_id, says in (
        (fine[:8], f"the store has no run {fine[:8]}; did you mean {fine} (toy: mode=fine)?"),
        (fine[:-1] + "x", f"did you mean {fine} (toy: mode=fine)?"),
        ("nonsense", "the store has no run nonsense; `sweep ui` shows the id of a trial's run on its page"),
        (parent.info.run_id, f"{parent.info.run_id} is the run of the whole sweep toy; use the run of a trial, "),
        (other.info.run_id, f"{other.info.run_id} is not a trial of a sweep; the store has the sweeps toy"),
    ):
        refused = sweep("replay", run_id)
        assert refused.returncode == 2
        assert refused.stderr.startswith("sweep: ")
        assert refused.stderr.count("\n") == 1
        assert says in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "def train(",
            "def trained(",
            "needs the trial function toys:train, which no longer exists: module toys has no function",
        ),
        (
            "    x: Annotated[float, Field(gt=0)]",
            "    x: Annotated[float, Field(gt=5)]",
            "no longer takes its parameters",
        ),
    ],
)
def test_a_function_that_has_changed_is_said_in_a_line(
    store: str, folder: Path, write: Write, sweep: Sweep, old: str, new: str, says: str
) -> None:
    sweep("launch", write(TOY))
    toys = folder / "toys.py"
    toys.write_text(toys.read_text().replace(old, new))
    sys.modules.pop("toys", None)
    refused = sweep("replay", runs(store)["mode=fine"])
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert says in refused.stderr


@pytest.mark.slow
def test_another_version_and_a_stack_are_warned_of(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    sweep("launch", write("trial: toys:stackable\nstack: 2\nparameters: {x: {values: [1, 2]}}"))
    with (folder / "toys.py").open("a") as toys:
        toys.write("stackable.version = 2\n")
    sys.modules.pop("toys", None)
    done = sweep("replay", runs(store)["x=1"])
    assert "warning: the run is of another version of toys:stackable than 2" in done.stdout
    assert "it runs alone here" in done.stdout
    assert done.stdout.endswith(SAME)


@pytest.mark.slow
def test_the_rule_of_the_sweep_is_kept(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write("trial: toys:watched\ndivergence: {enabled: false}")
    sweep("launch", path)
    (run,) = children(store, "toy")
    path.unlink()  # it stands in the store
    assert sweep("replay", run.info.run_id).stdout.endswith(
        "completed\nthe run ended in the same way; its numbers are the same, to the bit\n"
    )


DRIFTING = """
from pathlib import Path
from toys import Config

def train(config: Config):
    shift = float(Path("shift").read_text()) if Path("shift").exists() else 0.0
    for epoch in range(1, 4):
        yield {"val_loss": 1 / epoch + shift * epoch, "train_loss": 1 / epoch}
    return {"final_score": 2 + shift}
"""


@pytest.mark.slow
def test_replay_says_by_how_much_its_numbers_differ(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    (folder / "drifting.py").write_text(DRIFTING)
    sweep("launch", write("trial: drifting:train\nmetric: {name: val_loss, goal: minimize}"))
    (run,) = children(store, "toy")
    (folder / "shift").write_text("0.25")
    assert sweep("replay", run.info.run_id).stdout.splitlines()[-1] == (
        "the run ended in the same way; its numbers differ: "
        "val_loss by up to 0.75 (at epoch 3 1.08333, 0.333333 in the run), "
        "final_score by up to 0.25 (at the end 2.25, 2 in the run)"
    )
    (folder / "shift").write_text("1e-12")
    assert "val_loss by up to 3e-12 (at epoch 3 " in sweep("replay", run.info.run_id).stdout
