"""How trials of variants.py began, from their sweeps in the store: docs/reproduction/explosions.csv.

python examples/explosions.py cliff start > explosions.csv
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.artifacts import download_artifacts

import orchestrator
from orchestrator.system import paths

BLACK, NEARLY = 0.11286, 0.001  # the MSE of black images, of MNIST's validation images
DEAD = -2.5  # powers of ten that are left of the first gradient
CHOICES = ["kernel", "innermost_stride", "num_layers", "norm", "init", "hidden", "slope", "head", "clamp", "clip"]
CHOICES += ["eps", "beta1", "beta2", "var", "lr", "batch_size", "seed"]
FOUND = ["outcome", "epochs", "steps", "val_ssim", "val_mse", "val_kl", "dead"]
FOUND += ["gradient_left", "highest_log_variance", "worst_loss", "remark"]


def start(steps: pd.DataFrame) -> dict[str, float]:
    """What a run's steps tell; `gradient_left` is the norm at the end over that of the first step, in powers of ten."""
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.log10(steps.grad_norm.tail(5).median() / steps.grad_norm.iloc[0])
    return {
        "steps": len(steps),
        "gradient_left": round(left, 2),
        "highest_log_variance": steps.log_variance_max.max(),
        "worst_loss": steps.loss.max(),
    }


def table(names: list[str]) -> pd.DataFrame:
    """A row for each trial that has ended."""
    uri = paths.tracking_uri(None)
    tables = []
    for name in names:
        trials = orchestrator.load_sweep(name).trials
        trials = trials[trials.outcome.isin(["completed", "loss explosion"])]
        files = [download_artifacts(run_id=run, artifact_path="steps.csv", tracking_uri=uri) for run in trials.run_id]
        found = pd.DataFrame([start(pd.read_csv(Path(file))) for file in files], index=trials.index)
        tables.append(pd.concat([trials, found], axis=1).assign(sweep=name))
    whole = pd.concat(tables)
    whole["dead"] = (whole.gradient_left <= DEAD) & ((whole.val_mse - BLACK).abs() < NEARLY)
    return whole[["sweep", *CHOICES, *FOUND]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", nargs="+", help="names of sweeps in the store")
    table(parser.parse_args().sweeps).to_csv(sys.stdout, index=False, float_format="%.5g")
