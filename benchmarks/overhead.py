"""What orchestration costs: a sweep of trials that do nothing, beside writing their runs to MLflow and no more.

The limit is MLflow itself: for each trial one run is created, one batch of its metrics is written, the run is ended.
Both write to SQLite on the same disk, in this one run of the benchmark.

    python benchmarks/overhead.py [trials]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 64
EPOCHS = 50
METRICS = 4

FUNCTION = f"""
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: int = 0

def train(config: Config):
    for epoch in range(1, {EPOCHS} + 1):
        yield {{"epoch": epoch, **{{f"m{{i}}": float(epoch) for i in range({METRICS})}}}}
    return {{"final": float(config.x)}}
"""


def sweep(folder: Path) -> float:
    """Seconds of a whole launch, from the start of the command to its end."""
    (folder / "idle.py").write_text(FUNCTION)
    values = ", ".join(map(str, range(TRIALS)))
    (folder / "idle.yaml").write_text(f"trial: idle:train\nparameters: {{x: {{values: [{values}]}}}}\n")
    started = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator", "launch", "idle.yaml", "--workers", "2", "--quiet"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def limit(folder: Path) -> float:
    """Seconds of writing the same runs with MLflow's client alone."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient(f"sqlite:///{folder}/limit.db")
    experiment = client.create_experiment("limit", artifact_location=folder.as_uri())
    started = time.perf_counter()
    for _ in range(TRIALS):
        run = client.create_run(experiment)
        points = [Metric(f"m{i}", float(e), 0, e) for e in range(1, EPOCHS + 1) for i in range(METRICS)]
        client.log_batch(run.info.run_id, points)
        client.set_terminated(run.info.run_id)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, alone = sweep(folder), limit(folder)
    print(f"{TRIALS} trials of {EPOCHS} epochs with {METRICS} metrics, 2 workers")
    print(f"sweep launch, start-up included: {whole:6.1f} s, {1000 * whole / TRIALS:6.0f} ms a trial")
    print(f"MLflow alone (the limit):        {alone:6.1f} s, {1000 * alone / TRIALS:6.0f} ms a trial")
    print(f"ratio: {whole / alone:.1f}")


if __name__ == "__main__":
    main()
