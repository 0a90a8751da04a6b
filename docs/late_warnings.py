"""What goes first in a late explosion, and whether that is seen before: from sweep late_fc.

    python docs/late_warnings.py sqlite:///mlruns/mlflow.db    # takes in what the sweep has in a store that is new

docs/reproduction/late_steps.csv has each epoch of each run, late_explosions.csv what the post-mortems say. Two signs
are tried, each of a single step: the gradient's norm over the median of the epochs before, and the highest log
variance. The limit of a sign is what no quiet run of the first seed went beyond; on all other runs it is judged.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from late_rates import Row
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from reproduction import FOLDER, append, read

import orchestrator
from models.postmortem import full_name
from orchestrator.trial import Outcome

STEPS, FIRST = FOLDER / "late_steps.csv", FOLDER / "late_explosions.csv"
SWEEP = "late_fc"
COLUMNS = ("trial", "num_layers", "var", "seed", "outcome", "epoch", "steps", "median_gradient")
COLUMNS += ("highest_gradient", "highest_log_variance")
OF_EXPLOSIONS = ("trial", "num_layers", "var", "seed", "step", "first", "first_step", "value", "usual")
SEED_OF_THE_LIMIT = "0"
SIGNS = ("the gradient's norm, over its median so far", "the highest log variance")
NONE = "\N{EN DASH}"
POSTMORTEM, VALIDATION = "explosion.json", {"quantity": "validation loss, after quiet steps"}
FIRST_EPOCH = 3  # what comes before is no history

Run = Sequence[Row]  # its epochs, in order


def runs(rows: Sequence[Row]) -> list[Run]:
    """The epochs of each run."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["trial"], []).append(row)
    return [*found.values()]


def signs(run: Run) -> list[tuple[float, float]]:
    """The signs of each epoch from FIRST_EPOCH on: what its steps came to at most.

    The last epoch of an explosion is left out, since what was seen in that was no warning.
    """
    seen = run[:-1] if is_exploded(run) else run
    medians = [float(row["median_gradient"]) for row in seen]
    return [
        (float(row["highest_gradient"]) / median(medians[:i]), float(row["highest_log_variance"]))
        for i, row in enumerate(seen)
        if int(row["epoch"]) >= FIRST_EPOCH
    ]


def is_exploded(run: Run) -> bool:
    """Whether a run ended as an explosion."""
    return run[0]["outcome"] == Outcome.EXPLODED


def limits(quiet: Sequence[Run]) -> list[float]:
    """Of each sign, the highest value in quiet runs."""
    return [max(values) for values in zip(*(pair for run in quiet for pair in signs(run)), strict=True)]


def warned(run: Run, sign: int, limit: float) -> int | None:
    """The first epoch in which a sign was beyond its limit; None where there was no such epoch."""
    return next((FIRST_EPOCH + i for i, pair in enumerate(signs(run)) if pair[sign] > limit), None)


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """For each sign: its limit, how many explosions it came before, by how many epochs, and the false warnings."""
    every = runs(rows)
    chosen = [run for run in every if run[0]["seed"] == SEED_OF_THE_LIMIT and not is_exploded(run)]
    judged = [run for run in every if run not in chosen]
    header = ["sign", "limit", "explosions that it came before", "epochs ahead", "quiet runs with a false warning"]
    lines = []
    for sign, limit in enumerate(limits(chosen)):
        exploded = [run for run in judged if is_exploded(run)]
        ahead = [len(run) - first for run in exploded if (first := warned(run, sign, limit)) is not None]
        quiet = [warned(run, sign, limit) for run in judged if not is_exploded(run)]
        false = sum(first is not None for first in quiet)
        told = ", ".join(map(str, sorted(ahead))) or NONE
        lines.append(
            [SIGNS[sign], f"{limit:.3g}", f"{len(ahead)} of {len(exploded)}", told, f"{false} of {len(quiet)}"]
        )
    return header, lines


def first(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """For each explosion: where it was, what diverged first of all by its post-mortem, and how many steps before."""
    header = ["layers", "var", "seed", "explodes at step", "first", "its value", "its usual value", "steps before"]
    ordered = sorted(rows, key=lambda row: (row["num_layers"], float(row["var"]), int(row["seed"])))
    return header, [
        [
            *(row[name] for name in ("num_layers", "var", "seed", "step")),
            full_name(row["first"]).removeprefix("the ") if row["first"] else "nothing: a gradual rise",
            *(row[name] or NONE for name in ("value", "usual")),
            str(int(row["step"]) - int(row["first_step"])) if row["first_step"] else NONE,
        ]
        for row in ordered
    ]


def add(uri: str) -> int:
    """Take in the finished runs of the sweep that the file lacks; returns how many."""
    known = {row["trial"] for row in read(STEPS)}
    trials = orchestrator.load_sweep(SWEEP, uri).trials
    trials = trials[trials.outcome.isin([str(Outcome.COMPLETED), str(Outcome.EXPLODED)])]
    new = [trial for _, trial in trials.reset_index().iterrows() if trial.trial not in known]
    for trial in new:
        file = download_artifacts(run_id=trial.run_id, artifact_path="steps.csv", tracking_uri=uri)
        steps = pd.read_csv(Path(file))
        in_epoch = (steps.step - 1) // math.ceil(int(trial.images) / int(trial.batch_size)) + 1
        append(STEPS, COLUMNS, [_epoch(trial, epoch, part) for epoch, part in steps.groupby(in_epoch)])
        if trial.outcome == Outcome.EXPLODED:
            told = _postmortem(uri, trial.run_id) or {"step": steps.step.max(), "gone": [VALIDATION]}
            append(FIRST, OF_EXPLOSIONS, [_explosion(trial, told)])
    return len(new)


def _postmortem(uri: str, run_id: str) -> dict[str, Any] | None:
    """What a run left; None where its steps were quiet, and its validation loss was not finite."""
    if POSTMORTEM not in [file.path for file in MlflowClient(uri).list_artifacts(run_id)]:
        return None
    file = download_artifacts(f"runs:/{run_id}/{POSTMORTEM}", tracking_uri=uri)
    told: dict[str, Any] = json.loads(Path(file).read_text())
    return told


def _explosion(trial: pd.Series, told: dict[str, Any]) -> dict[str, object]:
    begun = told["gone"][0] if told["gone"] else {}
    numbers = {name: f"{float(begun[name]):.4g}" for name in ("value", "usual") if begun.get(name) is not None}
    first = {"step": told["step"], "first": begun.get("quantity"), "first_step": begun.get("step"), **numbers}
    return {**{name: trial[name] for name in OF_EXPLOSIONS if name in trial}, **first}


def _epoch(trial: pd.Series, epoch: int, steps: pd.DataFrame) -> dict[str, object]:
    measured = {
        "epoch": epoch,
        "steps": len(steps),
        "median_gradient": f"{steps.grad_norm.median():.5g}",
        "highest_gradient": f"{steps.grad_norm.max():.5g}",
        "highest_log_variance": f"{steps.log_variance_max.max():.5g}",
    }
    return {**{name: trial[name] for name in COLUMNS if name in trial}, **measured}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="its tracking URI")
    print(f"{add(parser.parse_args().store)} runs taken in")
