"""Parts of a GPU on a Ray cluster, which is told that it has one: none of the trials computes on it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import children

pytestmark = pytest.mark.cluster
Command = Callable[..., "subprocess.CompletedProcess[str]"]

# Each trial waits for the others, for at most half a minute.
FUNCTION = """
import os, time
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Config:
    x: int = 0

def train(config: Config):
    meeting = Path({meeting!r})
    (meeting / str(config.x)).touch()
    deadline = time.monotonic() + {patience}
    while len(list(meeting.iterdir())) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    return {{"together": len(list(meeting.iterdir())), "gpu": int(os.environ["CUDA_VISIBLE_DEVICES"])}}
"""
SWEEP = """
trial: sharing:train
parameters: {x: {values: [0, 1, 2, 3]}}
record_code: false
"""


def launch(folder: Path, command: Command, options: list[str], patience: float) -> "subprocess.CompletedProcess[str]":
    (folder / "meeting").mkdir()
    (folder / "sharing.py").write_text(FUNCTION.format(meeting=str(folder / "meeting"), patience=patience))
    (folder / "toy.yaml").write_text(SWEEP)
    given = [part for option in options for part in ("--set-executor", option)]
    return command("launch", "toy.yaml", "--executor", "ray", *given)


def test_four_trials_of_a_quarter_share_a_gpu(
    folder: Path, store: str, command: Command, ray_options: list[str]
) -> None:
    done = launch(folder, command, [*ray_options, "gpus=0.25"], patience=60)
    assert done.returncode == 0, done.stderr
    metrics = [run.data.metrics for run in children(store, "toy")]
    assert [(one["together"], one["gpu"]) for one in metrics] == [(4, 0)] * 4


def test_trials_of_more_than_a_half_have_it_by_turns(
    folder: Path, store: str, command: Command, ray_options: list[str]
) -> None:
    done = launch(folder, command, [*ray_options, "gpus=0.6"], patience=1)
    assert done.returncode == 0, done.stderr
    assert sorted(run.data.metrics["together"] for run in children(store, "toy")) == [1, 2, 3, 4]


def test_more_gpus_than_there_are_are_refused(folder: Path, command: Command, ray_options: list[str]) -> None:
    refused = launch(folder, command, [*ray_options, "gpus=2"], patience=1)
    assert refused.returncode == 2
    assert "a trial takes 2 GPUs, and no machine of the cluster has more than 1" in refused.stderr
