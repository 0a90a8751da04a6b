"""What trials print and leave is kept, named, and shown by `sweep logs`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import artifacts, children

from orchestrator.commands.printed import PrintedLog
from orchestrator.errors import InputError
from orchestrator.spec import load
from orchestrator.trackers import Tracker, remains

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

LEAVES = "trial: toys:leaves\nmetric: {name: score}\nparameters: {x: {values: [1, 2]}}\n"
PRINTED = ["printed by Python", "printed to stderr", "printed by C", "epoch 1", "epoch 2", "epoch 3", "the end"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a trial with files of its own, ours, and links in and out."""
    folder = tmp_path / "trial"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "artifacts").mkdir()
    (tmp_path / "secret.pt").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "a.pt").write_text("secret")
    for name in ("model.pt", "deep/er/a.pt", "artifacts/kept.pt", "log.txt", "journal.jsonl", "proposal.json"):
        (folder / name).write_text("content")
    (folder / "last.pt").symlink_to("deep/er/a.pt")
    (folder / "out.pt").symlink_to("../secret.pt")
    (folder / "out").symlink_to("../secrets")
    (folder / "nowhere.pt").symlink_to("nothing")
    return folder


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (["*.pt"], ["last.pt", "model.pt"]),
        (["**/*.pt"], ["last.pt", "model.pt", "deep/er/a.pt"]),
        (["deep"], ["deep/er/a.pt"]),
        (["deep/**"], ["deep/er/a.pt"]),
        (["out/*", "out/a.pt", "out", "out.pt"], []),
        (["log.txt", "*.json*", "artifacts/*"], []),
        (["none", "model.pt", "m*"], ["model.pt"]),
        (["**"], ["deep/er/a.pt", "last.pt", "model.pt"]),
    ],
)
def test_patterns_keep_files_of_the_trial_and_nothing_that_links_lead_to(
    place: Path, patterns: list[str], kept: list[str]
) -> None:
    assert sorted(path.as_posix() for path in remains.kept(place, patterns, place).files) == sorted(kept)


def test_what_is_lost_is_named_with_its_size_and_links_are_not(place: Path) -> None:
    assert remains.lost(place, [], place) == "deep/er/a.pt (7 bytes), model.pt (7 bytes)"
    assert remains.lost(place, ["m*"], place) == "deep/er/a.pt (7 bytes)"
    assert remains.lost(place, ["**"], place) == ""
    assert remains.lost(place, [], place, ["deep/*/a.*"]) == "model.pt (7 bytes)"
    assert remains.lost(place, ["deep"], place, ["model.*", "[", "/etc/*", ""]) == ""
    for number in range(9):
        (place / f"{number}.ckpt").write_bytes(b"x" * 12_345)
    assert remains.lost(place, [], place).endswith("4.ckpt (12.3 kB) and 6 more")


@pytest.mark.parametrize("line", [b"a line of a log\n", b"\xc3\xa4" * 11])
def test_a_long_log_keeps_its_head_and_its_tail(tmp_path: Path, line: bytes) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"head\n" + line * 200_000 + b"\ntail\n")
    shortened = remains.cut(log)
    assert shortened is not None
    assert shortened.startswith(b"head\n")
    assert shortened.endswith(b"\ntail\n")
    assert len(shortened) < 2 * remains.HALF_A_LOG + 100
    assert b" bytes of this log are left out here\n" in shortened


def test_a_short_log_is_kept_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * 2 * remains.HALF_A_LOG)
    assert remains.cut(log) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "mistake"),
    [
        ("[/etc/*]", "toy.yaml:2: keep[0]: '/etc/*' leads out of the folder of a trial; write a pattern within it"),
        ("['*.pt', '../x']", "toy.yaml:2: keep[1]: '../x' leads out of the folder of a trial"),
        ("['~/x']", "toy.yaml:2: keep[0]: '~/x' leads out of the folder of a trial"),
        ("['']", "toy.yaml:2: keep[0]: '' is no pattern for files"),
        ("['a**b']", "toy.yaml:2: keep[0]: 'a**b' is no pattern for files"),
        ("[]", "toy.yaml:2: keep: "),
        ("'*.pt'", "toy.yaml:2: keep: "),
    ],
)
def test_a_pattern_that_keeps_nothing_is_a_mistake(write: Write, keep: str, mistake: str) -> None:
    with pytest.raises(InputError) as raised:
        load(write(f"trial: toys:leaves\nkeep: {keep}\n"))
    assert mistake in str(raised.value)


def test_a_log_that_grows_is_read_on_and_secrets_are_hidden_across_writes(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    printed = PrintedLog(path, ["s3cret"])
    assert printed.news(is_over=False) == b""
    path.write_bytes(b"one s3cret\ntwo s3c")
    assert printed.news(is_over=False) == b"one ***\n"
    with path.open("ab") as log:
        log.write(b"ret\nthree\n")
    assert printed.news(is_over=False) == b"two ***\nthree\n"
    path.write_bytes(b"one ***\ntwo ***\nthree\nfour")  # as at the end of its program
    assert printed.news(is_over=True) == b"four"


def test_a_log_that_has_gone_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"one\n")
    printed = PrintedLog(path, [])
    assert printed.news(is_over=False) == b"one\n"
    with path.open("ab") as log:
        log.write(b"two")
    path.unlink()
    assert printed.news(is_over=True) == b"two"


def log_of(store: str, run: Run) -> list[str]:
    path = MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, "log.txt")
    return Path(path).read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "inline"])
def test_every_trial_has_its_own_log_and_the_files_that_the_sweep_keeps(
    store: str, write: Write, sweep: Sweep, executor: str
) -> None:
    done = sweep("launch", write(f"{LEAVES}keep: ['*.ckpt', folder/passwd]\n"), "--executor", executor, "--workers", 1)
    assert done.returncode == 0, done.stderr
    lost = "deep/er/epoch=1.ckpt (1 byte), model.pt (5 kB)"
    said = f" left {lost} in its folder, which is removed; `keep` in the file keeps such files"
    assert done.stdout.count(said) == 1
    expected = [line for line in PRINTED if executor == "process" or line != "printed by C"]
    for run in children(store, "toy"):
        assert sorted(log_of(store, run)) == sorted(expected)
        assert artifacts(store, run) == {"log.txt", "last.ckpt"}
        assert run.data.tags["not_kept"] == lost
    first = children(store, "toy")[0]
    by_name = {name: sweep("logs", *name.split("|")) for name in (first.info.run_id[:8], "toy|1", "toy.yaml|x=1")}
    assert {tuple(shown.stdout.splitlines()) for shown in by_name.values()} == {tuple(log_of(store, first))}
    for arguments, problem in {
        ("toy",): "sweep: toy has 2 trials; name one of 1 (x=1), 2 (x=2)",
        ("toy", "x=3"): "sweep: toy has no trial x=3; it has 1 (x=1), 2 (x=2)",
        ("nosuch",): "sweep: the store has no run and no sweep nosuch; its sweeps: toy",
        ("nosuch", "1"): "sweep: the store has no sweep nosuch; it has toy",
    }.items():
        shown = sweep("logs", *arguments)
        assert (shown.returncode, shown.stderr.strip()) == (2, problem)


@pytest.mark.slow
def test_a_running_trial_is_followed_to_its_end(store: str, write: Write, sweep: Sweep) -> None:
    path = write("trial: toys:leaves\nmetric: {name: score}\nparameters: {x: 1, pause: 2}\n")
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
    launch = subprocess.Popen([*command, "launch", str(path), "--quiet"], stdout=subprocess.DEVNULL)
    while not [*path.parent.glob("mlruns/work/toy/*/log.txt")] or not children(store, "toy"):
        assert launch.poll() is None
        time.sleep(0.2)
    shown = sweep("logs", "toy", "--follow")
    assert launch.wait() == 0
    assert sorted(shown.stdout.splitlines()) == sorted(PRINTED)
    assert shown.returncode == 0


@pytest.mark.slow
def test_a_failed_trial_shows_its_traceback_and_a_silent_one_that_it_printed_nothing(
    store: str, write: Write, sweep: Sweep
) -> None:
    assert sweep("launch", write("trial: toys:leaves\nparameters: {mode: raise}\n"), "--quiet").returncode == 1
    assert sweep("launch", write("trial: toys:silent\n", "silent.yaml"), "--quiet").returncode == 0
    assert "RuntimeError: the toy broke" in sweep("logs", "toy").stdout
    (run,) = children(store, "silent")
    assert artifacts(store, run) == set()
    shown = sweep("logs", "silent")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "sweep: silent has printed nothing\n")


@pytest.mark.slow
def test_a_program_has_what_its_folder_keeps_and_its_secrets_stay_hidden(
    store: str, folder: Path, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    (folder / "program.py").write_text(
        "import os, pathlib, sys\nprint('token', sys.argv[1]); print('epoch 1 loss 0.5')\n"
        "place = pathlib.Path(os.environ['SWEEP_WORKDIR'])\n"
        "(place / 'a.bin').write_text('a'); (place / 'b.txt').write_text('b')\n"
    )
    text = "program: program.py\ncommand: [python, '${program}', '${envvar:TOKEN}']\nkeep: ['*.bin']\n"
    done = sweep("launch", write(text))
    assert done.returncode == 0, done.stderr
    assert "left b.txt (1 byte) in its folder" in done.stdout
    (run,) = children(store, "toy")
    assert artifacts(store, run) == {"log.txt", "a.bin"}
    assert sweep("logs", "toy").stdout.splitlines() == ["token ***", "epoch 1 loss 0.5"]
    assert os.environ["TOKEN"] not in "".join(log_of(store, run))


@pytest.mark.slow
def test_logs_of_a_sweep_in_the_trash_say_how_to_restore_it(store: str, write: Write, sweep: Sweep) -> None:
    tracker = Tracker(store, load(write(LEAVES)))
    tracker.open(1)
    tracker.close("FINISHED")
    tracker.client.delete_experiment(tracker.experiment_id)
    shown = sweep("logs", "toy")
    assert (shown.returncode, "the experiment toy is in MLflow's trash; restore it with" in shown.stderr) == (2, True)
