"""Nothing lost, nothing repeated: trials that are cut off, and launches that are killed at any moment."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import comparison
import pytest
import torch
import torture
from mlflow import MlflowClient
from reading import children, steps

from models import checkpoint
from models.config import TrainConfig
from models.declaration import DECLARATION
from models.train import train
from models.training import CHECKPOINT_FILE
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Finished, Progress
from orchestrator.trackers import remains
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import journal, runner
from orchestrator.worker.monitor import Monitor

SMALL = {"dataset": "digits", "architecture": "conv", "num_layers": 2, "batch_size": 64, "epochs": 4, "lr": 2e-3}
FUNCTION = "models.train:train"

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]


def told(task: runner.Task) -> tuple[list[dict[str, float]], Finished]:
    """The metrics that a trial told by epoch, but for its speed, and its end."""
    *progress, finished = [event for event in runner.run(task) if isinstance(event, (Progress, Finished))]
    assert isinstance(finished, Finished)
    curves = [dict(event.metrics) for event in progress if isinstance(event, Progress)]
    for metrics in curves:
        metrics.pop("images_per_second")
    return curves, finished


def task(workdir: Path, **params: object) -> runner.Task:
    workdir.mkdir(exist_ok=True)
    return runner.Task(FUNCTION, {**SMALL, **params}, workdir, DivergenceRule())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "epochs"),
    [pytest.param("conv", 3, marks=pytest.mark.slow), pytest.param("attention", 2, marks=pytest.mark.slow), ("fc", 2)],
)
def test_a_trial_that_was_cut_off_ends_with_the_same_numbers_to_the_bit(
    tmp_path: Path, architecture: str, epochs: int
) -> None:
    whole, end = told(task(tmp_path / "whole", architecture=architecture))
    cut = task(tmp_path / "cut", architecture=architecture)
    running = runner.run(cut)
    for _ in range(1 + epochs):
        next(running)
    running.close()
    rest, resumed_end = told(cut)
    assert rest == whole[epochs:]
    assert resumed_end == end


@pytest.mark.slow
def test_a_trial_that_is_killed_before_its_checkpoint_tells_the_epoch_again(tmp_path: Path) -> None:
    whole, end = told(task(tmp_path / "whole"))
    cut = task(tmp_path / "cut")
    running = runner.run(cut)
    for _ in range(3):
        next(running)
    after_one = (cut.workdir / CHECKPOINT_FILE).read_bytes()
    running.close()
    (cut.workdir / CHECKPOINT_FILE).write_bytes(
        after_one
    )  # as if killed between the yield of epoch 2 and its checkpoint
    rest, resumed_end = told(cut)
    assert rest == whole[1:]
    assert resumed_end == end
    epochs = [entry.event.epoch for entry in journal.read(cut.workdir) if isinstance(entry.event, Progress)]
    assert epochs == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        "torn",
        *(pytest.param(damage, marks=pytest.mark.slow) for damage in ("empty", "another config", "another format")),
    ],
)
def test_an_unusable_checkpoint_is_set_aside_with_a_warning(tmp_path: Path, damage: str) -> None:
    config = TrainConfig(**SMALL)  # type: ignore[arg-type]
    running = train(config, tmp_path)
    next(running)
    running.close()
    path = tmp_path / CHECKPOINT_FILE
    content = path.read_bytes()
    match damage:
        case "torn":
            path.write_bytes(content[: len(content) // 2])
        case "empty":
            path.write_bytes(b"")
        case "another config":
            config = TrainConfig(**{**SMALL, "seed": 1})  # type: ignore[arg-type]
        case "another format":
            torch.save({**torch.load(path, weights_only=True), "format": 0}, path)
    with pytest.warns(UserWarning, match="renamed to checkpoint.unusable; the training starts from the beginning"):
        assert next(train(config, tmp_path))["epoch"] == 1
    assert (tmp_path / "checkpoint.unusable").is_file()


def test_what_the_vae_resumes_from_is_not_among_what_a_launch_says_is_lost(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / CHECKPOINT_FILE, TrainConfig(), {})
    for name in ("checkpoint.tmp", "checkpoint.unusable"):  # as a killed process leaves them
        (tmp_path / name).touch()
    assert remains.lost(tmp_path, [], tmp_path).count("checkpoint") == 3
    assert remains.lost(tmp_path, [], tmp_path, DECLARATION.checkpoints) == ""


def test_a_checkpoint_runs_no_code_when_it_is_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path}/evil",)

    torch.save({"format": checkpoint.FORMAT, "config": Evil()}, tmp_path / CHECKPOINT_FILE)
    with pytest.warns(UserWarning, match="renamed to checkpoint.unusable"):
        assert checkpoint.load(tmp_path / CHECKPOINT_FILE, TrainConfig()) is None
    assert not (tmp_path / "evil").exists()


def test_a_resumed_trial_is_watched_as_if_never_cut_off() -> None:
    losses = [1000.0 / step for step in range(1, 61)] + [1e6] * 60

    def alarm(monitor: Monitor, first: int) -> str | None:
        for step in range(first, len(losses) + 1):
            try:
                monitor.step(step, losses[step - 1], 1.0)
            except Exception:
                return monitor.explosion.reason if monitor.explosion else None
            if step % 10 == 0:
                states.append(monitor.state)
                monitor.epoch_ended(step // 10, {"val_loss": losses[step - 1]})
        return None

    states: list[object] = []
    whole = alarm(Monitor(DivergenceRule()), 1)
    assert whole is not None
    assert alarm(Monitor(DivergenceRule(), journal_copies(states[:7])), 71) == whole  # type: ignore[arg-type]
    assert alarm(Monitor(DivergenceRule()), 71) != whole


def test_a_trial_cut_off_after_its_last_epoch_is_judged_as_if_it_had_not_been(folder: Path) -> None:
    toy = runner.Task("toys:train", {"mode": "rise", "epochs": 3}, folder, DivergenceRule())
    running = runner.run(toy)
    for _ in range(4):
        next(running)
    running.close()
    (folder / "over.py").write_text("from toys import Config\ndef train(config: Config):\n    return {}\n    yield\n")
    (finished,) = [e for e in runner.run(replace(toy, function="over:train")) if isinstance(e, Finished)]
    assert finished.outcome is Outcome.EXPLODED


def test_a_result_in_the_journal_is_told_without_running_again(folder: Path) -> None:
    toy = runner.Task("toys:train", {"x": 2.0}, folder, DivergenceRule())
    told = list(runner.run(toy))
    (folder / "over.py").write_text("from toys import Config\ndef train(config: Config):\n    raise SystemExit\n")
    assert list(runner.run(replace(toy, function="over:train"))) == told


def journal_copies(states: list[object]) -> list[object]:
    import copy

    return copy.deepcopy(states)


def test_a_line_that_was_cut_off_is_no_entry_and_does_not_spoil_the_next(folder: Path) -> None:
    toy = runner.Task("toys:train", {"x": 2.0, "epochs": 3}, folder, DivergenceRule())
    running = runner.run(toy)
    next(running), next(running)
    running.close()
    path = folder / journal.JOURNAL_FILE
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    list(runner.run(toy))
    assert [entry.event.kind for entry in journal.read(folder)] == ["started", *["progress"] * 3, "finished"]
    assert all(line.endswith(b"}") for line in path.read_bytes().splitlines())


@pytest.mark.slow
def test_what_was_finished_but_not_recorded_is_recorded_and_not_run_again(
    store: str,
    folder: Path,
    write: Write,
    sweep: Sweep,
) -> None:
    path = write("trial: toys:train\nparameters: {x: 2.0}")
    trial = Trial("toys:train", 1, {"x": 2.0, "mode": "fine", "epochs": 3, "seed": 0, "pause": 0.0}, "")
    workdir = folder / "mlruns" / "work" / "toy" / trial.trial_key
    workdir.mkdir(parents=True)
    list(runner.run(runner.Task(trial.function, trial.params, workdir, DivergenceRule())))
    (folder / "toys.py").write_text((folder / "toys.py").read_text().replace('print(f"training', 'raise SystemExit(f"'))
    done = sweep("launch", path)
    assert done.returncode == 0, done.stdout
    (run,) = children(store, "toy")
    assert run.data.tags["outcome"] == "completed"
    assert run.data.metrics["final_score"] == 2.0
    assert steps(store, run, "train_loss") == [1, 2, 3]
    assert not workdir.exists()


RETRIED = """
from dataclasses import dataclass
from pathlib import Path
import os, signal, time

@dataclass(frozen=True)
class Config:
    deaths: int = 1
    at: int = 2
    epochs: int = 4
    seed: int = 0
    hang: bool = False

def train(config: Config, workdir: Path, watch):
    kept = workdir / "epoch"
    epoch = int(kept.read_text()) if kept.exists() else 0
    while epoch < config.epochs:
        epoch += 1
        watch(epoch, 1.0, 1.0)
        died = workdir / "deaths"
        count = int(died.read_text()) if died.exists() else 0
        if epoch == config.at and count < config.deaths:
            died.write_text(str(count + 1))
            if config.hang:
                time.sleep(600)
            os.kill(os.getpid(), signal.SIGKILL)
        yield {"epoch": epoch, "train_loss": 1.0 / epoch}
        kept.write_text(str(epoch))
    return {"score": float(epoch)}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "outcome", "reason"),
    [
        pytest.param("deaths: 2", "completed", None, marks=pytest.mark.slow),
        ("deaths: 3", "failed", "its worker was killed by SIGKILL"),
        ("deaths: 1, hang: true", "completed", None),
        pytest.param("deaths: 9, hang: true", "failed", "it made no step for 1 seconds", marks=pytest.mark.slow),
    ],
)
def test_a_trial_survives_the_deaths_of_its_worker_as_often_as_it_may(
    store: str,
    folder: Path,
    write: Write,
    sweep: Sweep,
    parameters: str,
    outcome: str,
    reason: str | None,
) -> None:
    (folder / "retried.py").write_text(RETRIED)
    path = write(f"trial: retried:train\nstall_seconds: 1\nparameters: {{{parameters}}}", "retried.yaml")
    done = sweep("launch", path)
    (run,) = children(store, "retried")
    assert run.data.tags["outcome"] == outcome, done.stdout
    assert run.data.tags.get("failure.reason") == reason
    assert steps(store, run, "train_loss") == ([1, 2, 3, 4] if outcome == "completed" else [1])


@pytest.mark.slow
def test_a_sweep_that_fails_by_one_cause_again_and_again_is_stopped(store: str, write: Write, sweep: Sweep) -> None:
    path = write("trial: toys:train\nparameters: {mode: raise, x: {min: 1, max: 9}}")
    done = sweep("launch", path, "--workers", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("sweep: 5 trials in a row failed for the same reason: RuntimeError: the toy broke")
    assert len(children(store, "toy")) == 5


@pytest.mark.slow
def test_a_changed_constant_makes_new_trials_and_says_so(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write("trial: toys:train\nparameters: {x: {values: [1, 2]}}"))
    changed = sweep("launch", write("trial: toys:train\nparameters: {x: {values: [1, 2, 3]}, epochs: 4}"))
    assert "2 trials of this sweep in the store have other values" in changed.stdout
    assert len(children(store, "toy")) == 5


@pytest.mark.slow
@pytest.mark.parametrize("known_by", ["run", "journal"])
def test_a_resumed_trial_keeps_its_number_of_threads(
    store: str, folder: Path, write: Write, sweep: Sweep, known_by: str
) -> None:
    (folder / "threads.py").write_text(
        "import os\nfrom toys import Config\ndef train(config: Config):\n"
        "    yield {'epoch': 1, 'threads': float(os.environ['OMP_NUM_THREADS'])}\n    1 / config.pause\n"
    )
    path = write("trial: threads:train\nparameters: {x: {values: [1, 2]}, pause: 0.0}", "threads.yaml")
    sweep("launch", path, "--workers", "2")
    run = children(store, "threads")[0]
    first = run.data.tags["threads"]
    if known_by == "journal":
        MlflowClient(tracking_uri=store).delete_tag(run.info.run_id, "threads")
    else:
        for path_of_journal in (folder / "mlruns" / "work").rglob(journal.JOURNAL_FILE):
            path_of_journal.unlink()
    sweep("launch", path, "--workers", "1")
    assert children(store, "threads")[0].data.tags["threads"] == first


CHAOS = """
trial: witness:train
metric: {name: val_ssim, goal: maximize}
parameters: {dataset: digits, architecture: fc, num_layers: 1, batch_size: 32, epochs: 6, lr: 2e-3}
zip: {var: [0.5, 0.25, 0.1]}
retries: 1000
"""


@pytest.mark.parametrize(
    ("file", "kills", "seed"),
    [
        pytest.param(CHAOS, 1, 32, marks=pytest.mark.slow),
        pytest.param(CHAOS + "stack: 2", 1, 5, marks=pytest.mark.long),
        pytest.param(torture.FUNCTIONS, 2, 0, marks=pytest.mark.long),
        pytest.param(torture.PROGRAMS, 3, 0, marks=pytest.mark.long),
    ],
)
def test_a_sweep_that_is_killed_again_and_again_ends_as_one_that_never_was(
    tmp_path: Path, empty_store: Path, file: str, kills: int, seed: int
) -> None:
    kind = replace(torture.KINDS["programs" if "program:" in file else "functions"], text=file)
    calm, killed = torture.Sweep(tmp_path / "calm", kind), torture.Sweep(tmp_path / "killed", kind)
    for one in (calm, killed):
        comparison.store(one.folder).parent.mkdir(parents=True)
        shutil.copy(empty_store, comparison.store(one.folder))
    untouched, left = calm.run(), killed.run(random.Random(seed), kills)
    assert untouched is not None
    assert left is not None
    assert "completed" in [run.data.tags.get("outcome") for run in untouched.runs]
    assert calm.violations + killed.violations + comparison.violations(untouched, left) == []
    assert len(killed.kills) > kills / 2  # it may end before the last
