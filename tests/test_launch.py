"""Whole launches, in the store as MLflow's own client reads it back."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import processes
import pytest
import torch
from mlflow import MlflowClient
from reading import artifacts, children, outcomes, steps
from test_train import drained

from models.config import TrainConfig
from models.train import train
from orchestrator.comparison.table import Table
from orchestrator.errors import AlreadyRunningError
from orchestrator.spec import load
from orchestrator.system import machine
from orchestrator.trackers import Store
from orchestrator.trials.grid import expand
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
VAE = """
parameters: {dataset: digits, architecture: fc, num_layers: 1, batch_size: 64, epochs: 3}
configs: [{var: 0.5, lr: 2e-3}, {var: 0.05, lr: 2e-3}, {var: 0.05, lr: 50}]
"""
PARAMS = {
    "dataset",
    "architecture",
    "num_layers",
    "latent_dim",
    "var",
    "batch_size",
    "lr",
    "epochs",
    "seed",
    "precision",
}
BY_EPOCH = {f"{part}_{term}" for part in ("train", "val") for term in ("loss", "recon", "kl")}
BY_EPOCH |= {"val_nll", "val_mse", "val_ssim", "grad_norm", "images_per_second"}
FINAL = {"ssim", "mse", "ssim_mean", "mse_mean"}
LEFT = {"loss_curve.png", "reconstructions.png", "samples.png", "traversal.png", "model", "images"}


@pytest.fixture
def unexported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the export of the best model, which takes longer than such small trials."""
    monkeypatch.setattr("orchestrator.conclusion.export", lambda *_: False)


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_every_name_of_the_contract_stands_in_mlflow(store: str, write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write(VAE, "vae.yaml"))
    assert done.returncode == 0, done.stderr
    assert "loss explosion" in done.stdout
    runs = children(store, "vae")
    assert [run.info.run_name for run in runs] == ["var=0.05 lr=0.002", "var=0.05 lr=50", "var=0.5 lr=0.002"]
    exploded, completed = runs[1], runs[2]

    for run in runs:
        assert set(run.data.params) == PARAMS
        assert run.data.tags["sweep"] == "vae"
        assert run.data.tags.keys() >= {"trial_key", "config_key", "threads", "mlflow.source.name", "version.torch"}
        assert (run.data.tags["config"], run.data.tags["seed"]) == (run.info.run_name, "0")
        assert json.loads(run.data.tags["params"])["latent_dim"] == 20
        assert all(math.isfinite(value) and abs(value) < 1e300 for value in run.data.metrics.values())
        assert run.inputs.dataset_inputs[0].dataset.name == "digits"
    assert completed.data.params["var"] == "0.5"
    assert completed.data.params["latent_dim"] == "20"

    assert completed.info.status == "FINISHED"
    assert completed.data.tags["outcome"] == "completed"
    assert {name for name in completed.data.metrics if not name.startswith("system/")} == {
        *BY_EPOCH,
        *FINAL,
        "exploded",
        "explosion_margin",
        "best_val_ssim",
        "best_epoch",
    }
    assert completed.data.metrics["exploded"] == 0
    assert all(steps(store, completed, name) == [1, 2, 3] for name in BY_EPOCH)
    assert artifacts(store, completed) == LEFT
    assert {path.split("+timestamp")[0] for path in artifacts(store, completed, "images")} >= {
        "images/samples+step+1",
        "images/samples+step+2",
        "images/samples+step+3",
        "images/traversal+step+3",
    }
    assert artifacts(store, completed, "model") == {"model/weights.pt", "model/config.json"}

    assert exploded.info.status == "FAILED"
    assert exploded.data.tags["outcome"] == "loss explosion"
    assert exploded.data.metrics["exploded"] == 1
    assert not exploded.data.metrics.keys() & FINAL
    assert {k for k in exploded.data.tags if k.startswith("explosion.")} >= {
        "explosion.reason",
        "explosion.epoch",
        "explosion.step",
        "explosion.last_finite_loss",
    }
    assert int(exploded.data.tags["explosion.step"]) >= 1
    assert artifacts(store, exploded) == {"explosion.json", "explosion.md", "explosion.png", "images"}


@pytest.mark.usefixtures("unexported")
@pytest.mark.slow
def test_a_stacked_sweep_comes_to_what_it_comes_to_alone(store: str, write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write(VAE + "stack: 3", "vae.yaml"), "--workers", "2")
    assert done.returncode == 0, done.stderr
    first, exploded, second = children(store, "vae")
    assert exploded.data.tags["outcome"] == "loss explosion"
    assert not exploded.data.metrics.keys() & {*BY_EPOCH, *FINAL}
    assert artifacts(store, exploded) == {"explosion.json", "explosion.md", "explosion.png", "images"}
    for run in (first, second):
        assert run.data.tags["outcome"] == "completed"
        assert artifacts(store, run) == LEFT
        epochs, final = drained(train(TrainConfig(**json.loads(run.data.tags["params"]))))
        for name in epochs[0].keys() - {"epoch", "images_per_second"}:
            points = MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, name)
            assert [point.value for point in points] == pytest.approx([epoch[name] for epoch in epochs], rel=0.01), name
        assert {name: run.data.metrics[name] for name in final} == pytest.approx(final, rel=0.01)
    assert "3 at a time" in sweep("plan", "vae.yaml", "--workers", "2").stdout


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_a_trained_model_is_loaded_back_in_two_lines(store: str, write: Write, sweep: Sweep) -> None:
    assert sweep("launch", write(VAE, "vae.yaml"), "--set", "var=0.5", "--set", "lr=2e-3").returncode == 0
    (run,) = children(store, "vae")
    model = as_the_page_says("from mlflow.artifacts ", run.info.run_id, store)["model"]
    assert model.decode(torch.randn(2, 20)).shape == (2, 1, 28, 28)


def as_the_page_says(beginning: str, run_id: str, store: str) -> dict[str, Any]:
    """What the code that begins so has made, on the page on MLflow."""
    page = (Path(__file__).parent.parent / "docs" / "mlflow.md").read_text()
    (code,) = re.findall(rf"```python\n({beginning}.*?)```", page, re.DOTALL)
    names = {"run_id": run_id}
    code = code.replace("sqlite:///mlruns/mlflow.db", store)  # mlflow keeps what it has opened under a relative name
    try:
        exec(code, names)  # noqa: S102
    finally:
        mlflow.set_tracking_uri(None)  # which is in the environment, too, of what later tests start
    return names


@pytest.mark.slow
def test_the_best_model_is_one_of_mlflows_too(store: str, write: Write, sweep: Sweep) -> None:
    assert sweep("launch", write(VAE, "vae.yaml"), "--set", "var=0.5", "--set", "lr=2e-3").returncode == 0
    (run,) = children(store, "vae")
    model = as_the_page_says("from mlflow.artifacts ", run.info.run_id, store)["model"]
    reconstruct = as_the_page_says("import mlflow\n", run.info.run_id, store)["reconstruct"]
    images = torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(reconstruct(images), model.decode(model.encode(images)[0]))


def test_launching_again_starts_nothing_and_prints_the_table(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 2}, {x: 3, mode: nan}]\nparameters: {epochs: 4}")
    first = sweep("launch", path)
    before = {run.info.run_id: run.to_dictionary() for run in children(store, "toy")}
    second = sweep("launch", path)
    assert (first.returncode, second.returncode) == (0, 0)
    assert {run.info.run_id: run.to_dictionary() for run in children(store, "toy")} == before
    assert first.stdout.split("best score first")[1] == second.stdout.split("best score first")[1]
    assert "started" not in second.stdout


@pytest.mark.slow
def test_a_table_too_long_for_mlflow_says_what_it_leaves_out(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY + f"parameters: {{epochs: 1, x: {{values: {list(range(1, 41))}}}}}"), "--workers", "1")
    (parent,) = [run for run in MlflowClient(tracking_uri=store).search_runs(["1"]) if "sweep.role" in run.data.tags]
    assert parent.data.tags["mlflow.note.content"].count("\n| ") == 41
    spec = load(Path("toy.yaml"))
    short = Table.of(spec, expand(spec).trials, {}).markdown(longest=1000)
    left_out = int(short.split("\nand ")[1].split(" more")[0])
    assert len(short) <= 1000
    assert short.count("\n| ") + left_out == 41
    assert left_out > 0


@pytest.mark.slow
def test_a_larger_grid_extends_a_sweep_in_the_same_parent(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY + "parameters: {x: {values: [1, 2]}}"))
    first = {run.info.run_id for run in children(store, "toy")}
    assert sweep("launch", write(TOY + "parameters: {x: {values: [1, 2, 3]}}\nseeds: [0, 1]")).returncode == 0
    runs = children(store, "toy")
    assert len(runs) == 6
    assert first < {run.info.run_id for run in runs}


@pytest.mark.slow
def test_a_failed_trial_is_exit_1_and_is_tried_again_in_its_run(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "parameters: {mode: {values: [fine, raise]}}")
    first = sweep("launch", path)
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    broken = children(store, "toy")[1]
    assert (broken.info.status, broken.data.tags["outcome"]) == ("FAILED", "failed")
    assert broken.data.tags["failure.reason"] == "RuntimeError: the toy broke on two lines"
    assert "log.txt" in artifacts(store, broken)

    toys = path.parent / "toys.py"
    toys.write_text(toys.read_text().replace('raise RuntimeError("the toy broke\\non two lines")', "return"))
    assert sweep("launch", path).returncode == 0
    mended = children(store, "toy")[1]
    assert mended.info.run_id == broken.info.run_id
    assert (mended.info.status, mended.data.tags["outcome"]) == ("FINISHED", "completed")
    assert "failure.reason" not in mended.data.tags
    assert steps(store, mended, "train_loss") == [1, 2, 3]


def started(folder: Path, *arguments: object, epoch: str = "epoch 1/") -> subprocess.Popen[str]:
    """A launch in the background, once its first epoch has been recorded."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "launch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if epoch in line:
            return process
    raise AssertionError(process.stderr.read() if process.stderr else "")


@pytest.mark.slow
def test_several_files_run_one_after_another_and_what_ends_one_does_not_end_the_next(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    fine = write(TOY + "parameters: {x: {values: [1, 2]}}", "fine.yaml")
    missing = write("trial: toys:missing_data\n", "missing.yaml")
    fails = write(TOY + "parameters: {mode: raise}", "fails.yaml")
    also = write(TOY + "parameters: {x: {values: [3, 4]}}", "also.yaml")
    done = sweep("launch", missing, fine, fails, also, folder / "." / "fine.yaml", "--executor", "inline")
    assert done.returncode == 2
    assert done.stderr.startswith(f"sweep: {missing}: ")
    assert re.findall(r"sweep (\d) of 4: \S*/(\w+)\.yaml", done.stdout) == [
        ("1", "missing"),
        ("2", "fine"),
        ("3", "fails"),
        ("4", "also"),
    ]
    assert [*outcomes(store, "fine").values(), *outcomes(store, "also").values()] == ["completed"] * 4
    assert [*outcomes(store, "fails").values()] == ["failed"]
    assert done.stdout.count("compare the runs") == 1
    assert sweep("launch", fine, also).returncode == 0
    assert sweep("launch", fine, fails, also, "--executor", "inline", "--quiet").returncode == 1


@pytest.mark.slow
def test_no_more_trials_run_at_a_time_than_fit_by_what_each_takes(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "alone.py").write_text(
        "import time\nfrom pathlib import Path\nfrom toys import Config\ndef train(config: Config):\n"
        "    Path('busy').touch(exist_ok=False)\n    time.sleep(0.3)\n    Path('busy').unlink()\n"
        "    return {'x': 1.0}\n"
    )
    cores = machine.share(trials=1, workers=1).threads
    path = write(f"trial: alone:train\nparameters: {{x: {{values: [1, 2]}}}}\nresources: {{cpus: {cores}}}")
    assert "to run: 2 of 2, 1 at a time" in sweep("plan", path, "--workers", "2").stdout
    assert sweep("launch", path, "--workers", "2").returncode == 0
    assert [*outcomes(store, "toy").values()] == ["completed"] * 2


@pytest.mark.slow
def test_mistakes_of_several_files_are_said_before_anything_starts(store: str, write: Write, sweep: Sweep) -> None:
    good = write(TOY + "parameters: {x: 1}", "good.yaml")
    bad, worse = write(TOY + "parameters: {y: 1}", "bad.yaml"), write(TOY + "parameters: {z: 1}", "worse.yaml")
    cannot = write(TOY + "configs: [{mode: raise, x: 13}]", "cannot.yaml")
    same = write(TOY + "name: good", "same.yaml")
    greedy = write(TOY + "resources:\n  cpus: 4096", "greedy.yaml")
    for files, said in (
        ((good, bad, worse), [f"{bad}:3: parameters.y: unknown", f"{worse}:3: parameters.z: unknown"]),
        ((good, cannot), [f"{cannot}:1: mode=raise x=13: mode raise and x=13 do not go together"]),
        ((good, same), [f"{same}: has the name good, as {good} has; change the `name` of one"]),
        ((good, greedy), [f"{greedy}:4: resources.cpus: a trial takes 4096 cores, and this machine has "]),
        ((greedy,), [f"{greedy}:4: resources.cpus: a trial takes 4096 cores, and this machine has "]),
        ((good, bad, "--set", "size=3"), [f"{good}: --set size=3: unknown", f"{bad}: --set size=3: unknown"]),
    ):
        for call in ("launch", "plan"):
            done = sweep(call, *files)
            assert done.returncode == 2
            lines = done.stderr.splitlines()
            for begins in said:
                assert any(line.startswith(f"sweep: {begins}") for line in lines), lines
    assert Store(store).sweeps() == []


@pytest.mark.slow
def test_ctrl_c_before_an_error_starts_none_of_the_other_files(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "stopped.py").write_text(
        "import os, signal\nfrom toys import Config\n\ndef train(config: Config):\n    yield {'train_loss': 1.0}\n\n"
        "def prepare(config):\n    os.kill(os.getpid(), signal.SIGINT)\n    raise ValueError('no data')\n\n"
        "train.prepare = prepare\n"
    )
    stopped = write("trial: stopped:train\n", "stopped.yaml")
    done = sweep("launch", stopped, write(TOY), "--executor", "inline")
    assert (done.returncode, done.stderr) == (130, f"sweep: {stopped}: no data\n")
    assert "interrupted; resume with: " in done.stdout
    assert Store(store).sweeps() == ["stopped"]


SLOW = TOY + "parameters: {x: {values: [1, 2, 3]}, epochs: 8, pause: 0.4}"


@pytest.mark.slow
def test_ctrl_c_marks_what_ran_and_the_next_launch_goes_on(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    path, other = write(SLOW), write(SLOW, "other.yaml")
    process = started(folder, path, other, "--workers", "3")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"resume with: python -m orchestrator launch {path} {other}" in out
    assert Store(store).sweeps() == ["toy"]
    runs = children(store, "toy")
    assert {run.data.tags["outcome"] for run in runs} == {"interrupted"}
    assert {run.info.status for run in runs} == {"KILLED"}

    assert sweep("launch", path, "--set", "pause=0.4", "--workers", "3").returncode == 0
    after = children(store, "toy")
    assert {run.data.tags["outcome"] for run in after} == {"completed"}
    assert {run.info.run_id for run in runs} <= {run.info.run_id for run in after}
    for run in after:
        assert steps(store, run, "train_loss") == list(range(1, 9))
        assert run.data.metrics["best_epoch"] == 8


@pytest.mark.slow
def test_a_second_launch_of_a_running_sweep_is_refused(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(SLOW)
    process = started(folder, path)
    refused = sweep("launch", path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert refused.returncode == 2
    assert f"in process {process.pid} on " in refused.stderr
    assert sweep("plan", path).returncode == 0


def running(store: str) -> list[str]:
    """The trials of the toy sweep that have a RUNNING run."""
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy")
    runs = client.search_runs([experiment.experiment_id], "status = 'RUNNING'") if experiment else []
    return [run.data.tags["trial_key"] for run in runs if "trial_key" in run.data.tags]


@pytest.mark.slow
def test_a_killed_orchestrator_leaves_no_process_and_no_run_that_runs(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    path = write(SLOW)
    process = started(folder, path)
    workers = processes.children(process.pid)
    assert len(workers) >= 2
    while len(running(store)) < 2:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert processes.all_gone(workers)
    assert len(running(store)) == 2
    row = next(line for line in sweep("status", path).stdout.splitlines() if " toy " in line)
    assert row.split() == ["toy", "0", "0", "0", "0", "0", "2", "0"]

    assert sweep("launch", path, "--set", "x=1").returncode == 0
    assert not running(store)
    (run,) = [run for run in children(store, "toy") if run.data.tags["outcome"] == "completed"]
    assert steps(store, run, "train_loss") == list(range(1, 9))


@pytest.mark.slow
def test_reuse_takes_finished_trials_over_from_another_sweep(store: str, write: Write, sweep: Sweep) -> None:
    assert sweep("launch", write(TOY + "parameters: {x: {values: [1, 2]}}", "first.yaml")).returncode == 0
    second = write(TOY + "reuse: true\nparameters: {x: {values: [2, 3]}}", "second.yaml")
    plan = sweep("plan", second)
    assert "done in first" in plan.stdout
    assert "to run: 1 of 2" in plan.stdout
    assert sweep("launch", second).returncode == 0
    source = children(store, "first")[1]
    copied, fresh = children(store, "second")
    assert copied.data.tags["reused_from"] == source.info.run_id
    assert "reused_from" not in fresh.data.tags
    assert "end_number" not in copied.data.tags  # it counts the ends of the other sweep
    own, others = (run.data.tags["mlflow.note.content"] for run in (copied, source))
    assert own == others.replace(source.info.run_id, copied.info.run_id).replace(
        *(run.data.tags["mlflow.parentRunId"] for run in (source, copied))
    ).replace(*(f"experiments/{run.info.experiment_id}/" for run in (source, copied)))
    assert copied.data.metrics == source.data.metrics
    assert copied.data.params == source.data.params
    assert copied.info.status == "FINISHED"
    assert steps(store, copied, "train_loss") == [1, 2, 3]
    assert artifacts(store, copied) == {"log.txt", "note.txt"}


@pytest.mark.slow
def test_the_inline_executor_keeps_the_same_contract(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 2, mode: raise}, {x: 3, mode: nan}]")
    assert sweep("launch", path, "--executor", "inline").returncode == 1
    assert list(outcomes(store, "toy").values()) == ["completed", "failed", "loss explosion"]


def test_a_trial_function_of_the_users_own_runs_from_a_file_beside_it(folder: Path, sweep: Sweep, store: str) -> None:
    elsewhere = folder / "project"
    elsewhere.mkdir()
    (elsewhere / "mine.py").write_text(
        """
from dataclasses import dataclass
from pathlib import Path
from typing import Any

@dataclass(frozen=True)
class Config:
    var: float = 0.25
    epochs: int = 50
    seed: int = 0

def train(config: Config, workdir: Path):
    for epoch in range(1, config.epochs + 1):
        yield {"epoch": epoch, "train_loss": config.var / epoch, "val_loss": config.var / epoch}
    return {"ssim": 1 - config.var, "mse": config.var}
"""
    )
    (elsewhere / "mine.yaml").write_text("trial: mine:train\nparameters: {var: {values: [0.5, 0.2]}, epochs: 4}\n")
    done = sweep("launch", elsewhere / "mine.yaml")
    assert done.returncode == 0, done.stderr
    worse, better = reversed(children(store, "mine"))
    assert better.data.metrics["ssim"] == 0.8
    assert set(better.data.params) == {"var", "epochs", "seed"}
    assert steps(store, worse, "val_loss") == [1, 2, 3, 4]


@pytest.mark.slow
def test_missing_data_are_exit_2_before_anything_starts(store: str, write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write("trial: toys:missing_data"))
    assert done.returncode == 2
    assert done.stderr == "sweep: /nowhere/data.bin: is missing; put it there\n"
    assert children(store, "toy") == []


@pytest.mark.slow
def test_a_final_metric_stands_though_an_epochs_has_its_name(store: str, write: Write, sweep: Sweep) -> None:
    assert sweep("launch", write("trial: toys:renamed")).returncode == 0
    (run,) = children(store, "toy")
    assert run.data.metrics["score"] == 0.99


@pytest.mark.slow
def test_one_trials_bad_names_and_pictures_do_not_end_the_others(store: str, write: Write, sweep: Sweep) -> None:
    named = sweep("launch", write("trial: toys:badly_named", "named.yaml"))
    assert named.returncode == 1
    assert "3 is not the name of a metric: it is not a text" in named.stdout
    assert sweep("launch", write("trial: toys:pictures", "pictures.yaml")).returncode == 0
    assert sweep("launch", write("trial: toys:dangling", "dangling.yaml")).returncode == 0
    assert "not all artifacts" in children(store, "dangling")[0].data.tags["artifacts.problem"]
    killed = sweep("launch", write("trial: toys:odd_signal\nretries: 0", "signal.yaml"))
    assert "its worker was killed by signal 40" in killed.stdout
    assert sweep("launch", write("trial: toys:odd_data", "odd.yaml")).returncode == 0
    (run,) = children(store, "odd")
    assert run.inputs.dataset_inputs[0].dataset.name == "odd"


def test_an_experiment_that_is_no_sweep_is_left_alone(store: str, write: Write, sweep: Sweep) -> None:
    refused = sweep("launch", write("name: Default\ntrial: toys:train"))
    assert refused.returncode == 2
    assert "has an experiment Default that is not a sweep" in refused.stderr


@pytest.mark.slow
def test_a_sweep_whose_kind_was_changed_in_the_ui_goes_on(store: str, write: Write, sweep: Sweep) -> None:
    assert sweep("launch", write("trial: toys:train\nparameters: {x: {values: [1]}}")).returncode == 0
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    client.set_experiment_tag(experiment.experiment_id, "mlflow.experimentKind", "genai_development")
    assert sweep("launch", write("trial: toys:train\nparameters: {x: {values: [1, 2]}}")).returncode == 0
    assert len(children(store, "toy")) == 2


def test_launches_from_two_folders_into_one_server_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    uri = "http://127.0.0.1:1"
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    with Workspace(uri, "var"):
        monkeypatch.chdir(tmp_path / "two")
        with pytest.raises(AlreadyRunningError, match=f"in process {os.getpid()} on "), Workspace(uri, "var"):
            pass
    with Workspace(uri, "var"):
        pass


@pytest.mark.slow
def test_two_sweeps_make_a_store_side_by_side(folder: Path, write: Write) -> None:
    paths = [write(TOY + "parameters: {x: 1}", f"{name}.yaml") for name in ("first", "second")]
    launches = [
        subprocess.Popen([sys.executable, "-m", "orchestrator", "launch", str(path)], stderr=subprocess.PIPE, text=True)
        for path in paths
    ]
    said = [launch.communicate(timeout=100)[1] for launch in launches]
    assert [launch.returncode for launch in launches] == [0, 0], said


@pytest.mark.slow
def test_a_store_whose_making_was_killed_is_made_anew(folder: Path) -> None:
    uri = f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"
    making = [sys.executable, "-c", f"from orchestrator.trackers import Store; Store({uri!r})"]
    process = subprocess.Popen(making)
    unfinished = folder / "mlruns" / "mlflow.unfinished"
    while not (unfinished.exists() and unfinished.stat().st_size > 100_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert Store(uri).sweeps() == []
    assert not unfinished.exists()


@pytest.mark.slow
def test_no_run_is_left_running_when_a_launch_is_interrupted_early(store: str, folder: Path, write: Write) -> None:
    path = write(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "launch", str(path)], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    assert process.stdout is not None
    process.stdout.readline()  # the store is being opened
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 130
    client = MlflowClient(tracking_uri=store)
    runs = [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]
    assert all(run.info.status != "RUNNING" for run in runs)


@pytest.mark.slow
def test_status_counts_by_outcome(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 2, mode: raise}, {x: 3, mode: nan}]")
    sweep("launch", path)
    told = sweep("status", path)
    assert told.returncode == 0
    row = next(line for line in told.stdout.splitlines() if " toy " in line)
    assert row.split() == ["toy", "1", "1", "0", "0", "1", "0", "0", "score", "0.3:", "x=1"]
    assert sweep("status").stdout == told.stdout
    unknown = sweep("status", "nothing")
    assert (unknown.returncode, unknown.stderr) == (2, "sweep: the store has no sweep nothing; it has toy\n")


@pytest.mark.slow
def test_an_estimate_is_learned_from_finished_trials(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2]}, pause: 0.2}")
    assert "time: unknown" in sweep("plan", path).stdout
    sweep("launch", path, "--set", "x=1")
    plan = sweep("plan", path).stdout
    assert "to run: 1 of 2" in plan
    assert "time: about" in plan


@pytest.mark.long
@pytest.mark.skipif("SWEEP_DATA_DIR" not in os.environ, reason="SWEEP_DATA_DIR names no real MNIST")
def test_the_reports_table_of_var_trains_on_real_mnist(store: str, folder: Path, sweep: Sweep) -> None:
    file = Path(__file__).parent.parent / "sweeps" / "report" / "var.yaml"
    done = sweep("launch", file, "--set", "epochs=1", "--set", "batch_size=4096", "--set", "precision=bf16")
    assert done.returncode == 0, done.stderr
    runs = children(store, "var")
    assert [run.info.run_name for run in runs] == ["var=0.2", "var=0.22", "var=0.25", "var=0.5"]
    assert {run.data.tags["outcome"] for run in runs} == {"completed"}
    assert all(0.04 < run.data.metrics["mse"] < 0.12 for run in runs)


def test_no_two_columns_of_a_table_are_called_alike(write: Write, store: str, sweep: Sweep) -> None:
    path = write("trial: toys:train\nparameters: {epochs: {values: [1, 2]}}\n")
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    (parent,) = [run for run in MlflowClient(tracking_uri=store).search_runs(["1"]) if "sweep.role" in run.data.tags]
    (line,) = [line for line in parent.data.tags["mlflow.note.content"].splitlines() if "outcome" in line]
    titles = [title.strip() for title in line.strip("| ").split("|")]
    assert {"epochs", "last epoch"} < {*titles}
    assert len(titles) == len({*titles})
