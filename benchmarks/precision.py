"""What bfloat16 costs in quality: the finished runs of sweeps/precision.yaml, paired by var and seed.

    python benchmarks/precision.py

Takes them from docs/reproduction/runs.csv; `sweep launch sweeps/precision.yaml` makes them again (hours).
"""

import csv
import statistics
from collections.abc import Mapping, Sequence

from measuring import ROOT, Table

from orchestrator.comparison.intervals import half_width

RUNS = ROOT / "docs" / "reproduction" / "runs.csv"
METRICS = {"ssim": "SSIM", "mse": "MSE", "val_loss": "validation loss"}
DIGITS = {"ssim": 4, "mse": 5, "val_loss": 2}

Run = Mapping[str, str]


def mean(values: Sequence[float], digits: int) -> str:
    """A mean with its 95% interval by Student's t."""
    return f"{statistics.fmean(values):.{digits}f} ± {half_width(values):.{digits}f}"


def table(runs: Sequence[Run]) -> Table:
    """A row for each var and metric: fp32, bf16, and bf16 less fp32 of the same seed."""
    by_setting = {(run["var"], run["precision"], run["seed"]): run for run in runs if run["sweep"] == "precision"}
    seeds = sorted({seed for _, _, seed in by_setting})
    rows = []
    for var in sorted({var for var, _, _ in by_setting}, reverse=True):
        for metric, title in METRICS.items():
            exact, fast = (
                [float(by_setting[var, precision, seed][metric]) for seed in seeds] for precision in ("fp32", "bf16")
            )
            differences = [b - a for a, b in zip(exact, fast, strict=True)]
            rows.append([var, title, *(mean(values, DIGITS[metric]) for values in (exact, fast, differences))])
    over = f"Means over seeds {', '.join(seeds)} with 95% intervals by Student's t"
    note = f"{over}; 50 epochs of MNIST; SSIM and MSE of its test set."
    return Table("bfloat16 against float32", ["var", "", "fp32", "bf16", "bf16 less fp32, seed by seed"], rows, note)


def runs() -> list[Run]:
    """The finished runs of the reproduction, by the columns of their file."""
    with RUNS.open(newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    print(table(runs()).markdown())


if __name__ == "__main__":
    main()
