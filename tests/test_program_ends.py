"""How programs end that are killed, or take too long: what is said, what is tried again, and that they may save."""

from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from reading import children, steps

from orchestrator import launch
from orchestrator.system.signals import that_ended

ENDS = """
    import os, pathlib, signal, subprocess, sys, time

    kept = pathlib.Path(os.environ["SWEEP_WORKDIR"], "epoch")
    done = int(kept.read_text()) if kept.exists() else 0
    how = sys.argv[1].partition("=")[2]
    print(how, done, file=open("attempts.txt", "a"))
    print(f"its last words: epoch {done + 1} loss={1 / (done + 1)}")
    time.sleep(1)
    if how == "in-a-shell":
        os.execvp("bash", ["bash", "-c", "python -c 'import os; os.kill(os.getpid(), 11)'; exit $?"])
    if how.isdigit():
        os.kill(os.getpid(), int(how))
    if how == "status":
        sys.exit(3)
    if how == "deaf":
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        kept.write_text(str(done + 1))
"""
LAST = "its last words: epoch 1 loss=1.0"
SWEEP = """
    name: sweep
    program: train.py
    method: grid
    metric: {name: loss, goal: minimize}
    parameters: {how: {values: [9, in-a-shell, status, slow, deaf]}}
    retries: 1
    grace: 1s
"""


@pytest.mark.parametrize(
    ("status", "signal"), [(0, None), (1, None), (-9, 9), (137, 9), (139, 11), (143, 15), (128, None), (255, None)]
)
def test_a_shell_says_by_its_status_which_signal_has_killed_its_command(status: int, signal: int | None) -> None:
    assert that_ended(status) == signal


@pytest.mark.slow
def test_a_program_that_is_killed_is_tried_again_and_one_that_takes_too_long_may_save(folder: Path, store: str) -> None:
    (folder / "train.py").write_text(dedent(ENDS))
    (folder / "sweep.yaml").write_text(dedent(SWEEP))
    launch(folder / "sweep.yaml", tracking_uri=store, workers=2, trial_timeout=10.0, quiet=True)
    runs = {run.data.params["how"]: run for run in children(store, "sweep")}
    timed_out = {"slow", "deaf"}
    assert {how for how, run in runs.items() if run.data.tags["outcome"] == "infeasible"} == timed_out
    kinds = {how: "infeasible.reason" if how in timed_out else "failure.reason" for how in runs}
    reasons = {how: run.data.tags[kinds[how]] for how, run in runs.items()}
    assert reasons["9"].startswith("the program was killed by SIGKILL (it took 0.")
    assert reasons["9"].endswith(f"): {LAST}")
    assert reasons["in-a-shell"].startswith(f"the program was killed by SIGSEGV: {LAST} | bash: line 1: ")
    assert reasons["status"] == f"the program exited with status 3: {LAST}"
    assert reasons["slow"] == reasons["deaf"] == "it ran longer than the trial timeout of 10 seconds"
    attempts = Counter((folder / "attempts.txt").read_text().splitlines())
    assert attempts == {"9 0": 2, "in-a-shell 0": 2, "status 0": 1, "slow 0": 1, "deaf 0": 1}
    assert {how: steps(store, run, "loss") for how, run in runs.items()} == {how: [1] for how in runs}
    launch(folder / "sweep.yaml", tracking_uri=store, workers=2, trial_timeout=11.0, quiet=True)
    assert steps(store, runs["slow"], "loss") == [1, 2]  # it had saved where it was
