"""Programs on a Ray cluster."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import children, steps

pytestmark = pytest.mark.cluster

SCRIPT = """
import argparse
from helper import loss

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
x = parser.parse_args().x
for epoch in (1, 2, 3):
    print(f"epoch {epoch} loss {loss(x, epoch)}", flush=True)
"""


def test_a_program_finds_the_modules_beside_it(
    folder: Path, store: str, command: Callable[..., "subprocess.CompletedProcess[str]"], ray_options: list[str]
) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "train.py").write_text(SCRIPT)
    (folder / "src" / "helper.py").write_text("def loss(x, epoch):\n    return x / epoch\n")
    (folder / "toy.yaml").write_text("program: src/train.py\nparameters: {x: {values: [1.0, 2.0]}}\n")
    given = [part for option in ray_options for part in ("--set-executor", option)]
    done = command("launch", "toy.yaml", "--executor", "ray", *given)
    assert done.returncode == 0, done.stderr
    for run, x in zip(children(store, "toy"), (1.0, 2.0), strict=True):
        assert steps(store, run, "loss") == [1, 2, 3]
        assert run.data.metrics["loss"] == pytest.approx(x / 3)
