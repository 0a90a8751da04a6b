"""What cannot be saved: for each trial a run is created, all its metrics written in one batch, the run ended.

python benchmarks/floor.py TRIALS EPOCHS METRICS
"""

import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric


def main(trials: int, epochs: int, metrics: int) -> None:
    Path("mlruns").mkdir(exist_ok=True)
    client = MlflowClient(f"sqlite:///{Path('mlruns/mlflow.db').absolute()}")
    if not trials:
        client.search_experiments()
        return
    experiment = client.create_experiment("floor", artifact_location=Path("mlruns/artifacts").absolute().as_uri())
    for trial in range(trials):
        run = client.create_run(experiment)
        client.log_param(run.info.run_id, "x", trial)
        points = [Metric(f"m{i}", float(e), 0, e) for e in range(1, epochs + 1) for i in range(metrics)]
        client.log_batch(run.info.run_id, points)
        client.set_terminated(run.info.run_id)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
