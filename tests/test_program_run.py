"""Programs, launched: small scripts of the standard library, as people's own might be."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from reading import children, steps

from orchestrator import launch
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError
from orchestrator.events import Points, Restarted, Tagged
from orchestrator.programs import running
from orchestrator.programs.command import DEFAULT, Command
from orchestrator.programs.program import Program
from orchestrator.worker.reporter import Reporter

SWEEP = """
    name: sweep
    program: train.py
    method: grid
    metric: {name: loss, goal: minimize}
    parameters: {lr: {values: [0.1]}}
"""


@pytest.fixture
def launched(store: str, folder: Path) -> Callable[[str], Run]:
    """Launch a sweep of one trial, whose script this is; returns its run."""

    def run(script: str, sweep: str = SWEEP) -> Run:
        (folder / "train.py").write_text(dedent(script))
        (folder / "sweep.yaml").write_text(dedent(sweep))
        launch(folder / "sweep.yaml", tracking_uri=store, workers=1, quiet=True)
        return only(store)

    return run


def only(store: str) -> Run:
    """The run of the only trial."""
    (run,) = children(store, "sweep")
    return run


@pytest.mark.slow
def test_what_a_script_notes_and_counts_never_ends_a_sweep(launched: Callable[[str], Run], store: str) -> None:
    run = launched("""
        import wandb
        wandb.init(config={"a@b[0]": 1, "x" * 300: 2, "": 3, **{f"k{i}": i for i in range(150)}})
        wandb.log({"epoch": 1, "loss": 0.5})
        wandb.log({"epoch": 2, "loss": 0.25})
        wandb.log({"epoch": 1e30, "loss": 0.125})
        wandb.log({"epoch": -1e30, "loss": 0.125})
    """)
    assert run.data.tags["outcome"] == "completed"
    assert {name: run.data.tags[name] for name in ("program.a_b_0_", "program.k149")} == {
        "program.a_b_0_": "1",
        "program.k149": "149",
    }
    assert steps(store, run, "loss")[:2] == [1, 2]


@pytest.mark.slow
def test_a_seed_has_the_name_that_the_program_gives_it_also_in_mlflow(
    launched: Callable[[str, str], Run],
) -> None:
    script = "import sys\nassert sys.argv[1:] == ['--lr=0.1', '--random-state=3'], sys.argv\nprint('epoch 1 loss 0.5')"
    run = launched(script, SWEEP + "    seeds: [3]\n    seed_parameter: random-state\n")
    assert run.data.tags["outcome"] == "completed"
    assert run.data.params == {"lr": "0.1", "random-state": "3"}
    assert run.data.tags["seed"] == "3"


# What outlives an attempt


def attempt(
    program: Program, workdir: Path, *, until: Callable[[list[object]], bool] = lambda _: False
) -> list[object]:
    """What a program yields, as far as its worker hears of it before it is interrupted."""
    heard: list[object] = []
    training = running.run(program, {}, workdir)
    for item in training:
        heard += [] if item is None else [item]
        if until(heard):
            training.close()
    return heard


def epochs_of(heard: list[object]) -> list[tuple[object, object]]:
    return [(item["epoch"], item["loss"]) for item in heard if isinstance(item, dict)]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Program]:
    def write(script: str) -> Program:
        (tmp_path / "train.py").write_text(dedent(script))
        return Program(Command(DEFAULT, "train.py", is_derived=True), tmp_path, compared="loss")

    return write


KEEPS = """
    import os, pathlib, time
    from orchestrator import report
    kept = pathlib.Path(os.environ["SWEEP_WORKDIR"], "epoch")
    done = int(kept.read_text()) if kept.exists() else 0
    for epoch in range(done + 1, 5):
        report(epoch=epoch, loss=1 / epoch)
        kept.write_text(str(epoch))
        if epoch == 2 and not done:
            time.sleep(60)
"""


def test_a_program_that_had_done_all_before_is_not_said_to_lack_its_metric(
    program: Callable[[str], Program], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    script = KEEPS.replace("epoch == 2 and not done", "False")
    first, again = (attempt(program(script), tmp_path / "trial") for _ in range(2))
    assert [item.tags for item in first if isinstance(item, Tagged)] == [
        {"metrics_from": "metrics of train.py: from report"}
    ]
    assert again == []
    (tmp_path / "other").mkdir()
    lacks = attempt(program("print('nothing')"), tmp_path / "other")
    assert lacks == [Tagged({"metrics_from": "metrics of train.py: nowhere; there is no loss"})]


@pytest.mark.slow
def test_what_mlflow_has_kept_is_the_trials_also_where_the_program_is_ended_early(
    program: Callable[[str], Program], tmp_path: Path
) -> None:
    script = """
        import os, pathlib, time, urllib.parse
        store = pathlib.Path(urllib.parse.urlsplit(os.environ["MLFLOW_TRACKING_URI"]).path)
        kept = store / "0" / "run" / "artifacts"
        kept.mkdir(parents=True)
        (kept / "weights.txt").write_text("1 2 3")
        print("epoch 1 loss 0.5", flush=True)
        print("epoch 2 loss 0.5", flush=True)
        time.sleep(60)
    """
    (tmp_path / "trial").mkdir()
    attempt(program(script), tmp_path / "trial", until=lambda heard: bool(epochs_of(heard)))
    assert (tmp_path / "trial" / "artifacts" / "weights.txt").read_text() == "1 2 3"


def test_an_epoch_that_a_checkpoint_has_is_reported_by_the_next_attempt(
    program: Callable[[str], Program], tmp_path: Path
) -> None:
    def is_kept(_: list[object]) -> bool:
        kept = tmp_path / "trial" / "checkpoint" / "epoch"
        return kept.exists() and kept.read_text() == "2"

    (tmp_path / "trial").mkdir()
    first = attempt(program(KEEPS), tmp_path / "trial", until=is_kept)
    second = attempt(program(KEEPS), tmp_path / "trial")
    assert epochs_of(first) in ([], [(1, 1.0)])
    assert epochs_of(first) + epochs_of(second) == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]


COUNTS = """
    import os, time
    import wandb
    run = wandb.init()
    for epoch in range(3):
        run.log({"loss": 1 / (epoch + 1)})
    while not os.path.exists("go on"):
        time.sleep(0.01)
"""


def test_a_script_that_only_counts_and_kept_nothing_begins_its_curve_anew(
    program: Callable[[str], Program], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    first = attempt(program(COUNTS), tmp_path / "trial", until=lambda heard: len(epochs_of(heard)) == 2)
    (tmp_path / "go on").touch()
    second = attempt(program(COUNTS), tmp_path / "trial")
    assert epochs_of(first) == [(1, 1.0), (2, 0.5)]
    (begun,) = [place for place, item in enumerate(second) if isinstance(item, Restarted)]
    assert epochs_of(second[begun:]) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


SAVES = """
    import os, pathlib, signal, time
    from orchestrator import report
    kept = pathlib.Path(os.environ["SWEEP_WORKDIR"], "epoch")
    done = int(kept.read_text()) if kept.exists() else 0
    def save(*_):
        report(epoch=2, loss=0.5)
        kept.write_text("2")
        raise SystemExit(0)
    signal.signal(signal.SIGINT, save)
    for epoch in range(done + 1, 4):
        report(epoch=epoch, loss=1 / epoch)
        if not done:
            pathlib.Path("begun").touch()
            time.sleep(60)
"""


def test_what_a_program_logs_while_it_saves_is_reported_by_the_next_attempt(
    program: Callable[[str], Program], tmp_path: Path
) -> None:
    (tmp_path / "trial").mkdir()
    first = attempt(program(SAVES), tmp_path / "trial", until=lambda _: (tmp_path / "begun").exists())
    second = attempt(program(SAVES), tmp_path / "trial")
    assert epochs_of(first) + epochs_of(second) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


# What it finds


def test_what_a_launch_is_itself_a_part_of_is_nothing_to_a_program(
    program: Callable[[str], Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"):
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("MLFLOW_RUN_ID", "of another store")
    (tmp_path / "trial").mkdir()
    heard = attempt(
        program("""
            import os
            from orchestrator import report
            report(epoch=1, loss=len([name for name in ("MLFLOW_RUN_ID", "RANK") if name in os.environ]))
        """),
        tmp_path / "trial",
    )
    assert epochs_of(heard) == [(1, 0.0)]


def test_pictures_are_moved_out_of_nobodys_way(program: Callable[[str], Program], tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "picture.png")
    attempt(
        program("""
            import os, wandb
            wandb.init().log({"epoch": 1, "loss": 1.0, "seen": wandb.Image("picture.png")})
            assert os.listdir(os.environ["SWEEP_WORKDIR"]) == []
        """),
        tmp_path / "trial",
    )
    assert (tmp_path / "trial" / "images" / "seen" / "1.png").is_file()
    assert not [*(tmp_path / "trial").glob("pictures/*")]
    assert (tmp_path / "picture.png").is_file()


# Secrets

WITH_A_VARIABLE = """
    name: sweep
    program: train.py
    command: ["${env}", "${interpreter}", "${program}", "--key=${envvar:MY_KEY}"]
    method: grid
    metric: {name: loss, goal: minimize}
    parameters: {lr: {values: [0.1]}}
    retries: 0
"""


KILLS_WORKER = 'os.kill(int(open(f"/proc/{os.getppid()}/stat").read().split()[3]), 9); time.sleep(60)'


@pytest.mark.slow
@pytest.mark.parametrize(
    "end", ["sys.exit(3)", "os.kill(os.getpid(), 9)", "os.kill(os.getppid(), 9); time.sleep(60)", KILLS_WORKER]
)
def test_a_secret_reaches_neither_tags_nor_logs_however_a_program_ends(
    launched: Callable[..., Run], store: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("MY_KEY", "correct-horse")
    run = launched(
        f"""
        import os, sys, time, wandb
        wandb.init(config={{"key": sys.argv[1]}}).log({{"epoch": 1, "loss": 1.0}})
        print("it is", sys.argv[1])
        {end}
        """,
        WITH_A_VARIABLE,
    )
    log = MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, "log.txt")
    assert run.data.tags["outcome"] == "failed"
    assert run.data.tags["program.key"] == "--key=***"
    assert "it is --key=***" in Path(log).read_text()
    assert not [name for name, value in run.data.tags.items() if "correct-horse" in value]
    assert "correct-horse" not in Path(log).read_text()


@pytest.mark.slow
def test_a_secret_of_an_attempt_whose_worker_was_killed_is_not_in_the_log_of_the_next_one(
    launched: Callable[..., Run], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "correct-horse")
    run = launched(
        f"""
        import os, sys, time
        from orchestrator import report
        print("it is", sys.argv[1])
        if not os.path.exists("again"):
            open("again", "w")
            {KILLS_WORKER}
        report(epoch=1, loss=1.0)
        """,
        WITH_A_VARIABLE.replace("retries: 0", "retries: 1"),
    )
    log = Path(MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, "log.txt")).read_text()
    assert run.data.tags["outcome"] == "completed"
    assert (log.count("it is --key=***"), log.count("correct-horse")) == (2, 0)


def test_a_variable_that_lacks_is_refused_before_anything_starts(launched: Callable[..., Run], folder: Path) -> None:
    with pytest.raises(InputError, match=r"command: the environment has no variable MY_KEY; set it"):
        launched("", WITH_A_VARIABLE)
    assert not [*folder.glob("mlruns/work/*")]


# What there is later


@pytest.mark.slow
def test_a_sweep_is_reported_when_its_program_is_gone(
    launched: Callable[[str], Run], folder: Path, sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    launched("from orchestrator import report; report(epoch=1, loss=1.0)")
    (folder / "train.py").unlink()
    for command in ("status", "best", "report"):
        shown = sweep(command, "sweep.yaml" if command == "best" else "sweep")
        assert (shown.returncode, shown.stderr) == (0, "")


# What comes between epochs


def test_a_value_that_comes_late_is_kept_at_every_epoch(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path, DivergenceRule(), lambda *_: None, ())
    (event,) = reporter.take(Points({"late": [(1001, 0.5, 1.0)], "loss.by_step": [(1001, 0.5, 1.0), (1002, 0.5, 1.0)]}))
    assert event == Points({"late": [(1001, 0.5, 1.0)], "loss.by_step": [(1002, 0.5, 1.0)]})


@pytest.mark.slow
def test_a_program_that_logs_between_epochs_does_not_hang(launched: Callable[..., Run]) -> None:
    run = launched(
        """
        import time
        from orchestrator import report
        for step in range(50):
            report(other=step)
            time.sleep(0.1)
        report(epoch=1, loss=1.0)
        """,
        dedent(SWEEP) + "retries: 0\nstall_seconds: 0.4\n",
    )
    assert run.data.tags["outcome"] == "completed"
