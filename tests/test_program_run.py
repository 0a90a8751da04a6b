"""Programs, launched: small scripts of the standard library, as people's own might be."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import children, steps

from orchestrator import launch
from orchestrator.errors import InputError

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
