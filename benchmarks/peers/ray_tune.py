"""Ray Tune with its MLflow callback, as its documentation has it.

python benchmarks/peers/ray_tune.py TRIALS EPOCHS METRICS WORKERS
"""

import sys
from pathlib import Path

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback


def train(config: dict[str, int]) -> None:
    for epoch in range(1, config["epochs"] + 1):
        tune.report({f"m{i}": float(epoch) for i in range(config["metrics"])})


def main(trials: int, epochs: int, metrics: int, workers: int) -> None:
    ray.init(num_cpus=workers, include_dashboard=False)
    callback = MLflowLoggerCallback(
        tracking_uri=f"sqlite:///{Path('mlruns/mlflow.db').absolute()}", experiment_name="idle"
    )
    tuner = tune.Tuner(
        train,
        param_space={"x": tune.grid_search([*range(trials)]), "epochs": epochs, "metrics": metrics},
        tune_config=tune.TuneConfig(max_concurrent_trials=workers),
        run_config=tune.RunConfig(storage_path=str(Path("ray").absolute()), callbacks=[callback]),
    )
    results = tuner.fit()
    ray.shutdown()
    sys.exit(results.num_errors)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
