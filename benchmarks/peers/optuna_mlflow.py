"""Optuna and MLflow as their documentation has them: processes that share a study on SQLite, a run for each trial.

python benchmarks/peers/optuna_mlflow.py TRIALS EPOCHS METRICS WORKERS
"""

import multiprocessing
import sys
from functools import partial
from pathlib import Path

import mlflow
import optuna

STORAGE = "sqlite:///optuna.db"


def objective(trial: optuna.Trial, epochs: int, metrics: int) -> float:
    x = trial.suggest_float("x", 0, 1)
    with mlflow.start_run():
        mlflow.log_params(trial.params)
        for epoch in range(1, epochs + 1):
            mlflow.log_metrics({f"m{i}": float(epoch) for i in range(metrics)}, step=epoch)
    return x


def work(trials: int, epochs: int, metrics: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    set_up_mlflow()
    study = optuna.load_study(study_name="idle", storage=STORAGE, sampler=optuna.samplers.RandomSampler())
    study.optimize(partial(objective, epochs=epochs, metrics=metrics), n_trials=trials)


def set_up_mlflow() -> None:
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlruns/mlflow.db').absolute()}")
    mlflow.set_experiment("idle")


def main(trials: int, epochs: int, metrics: int, workers: int) -> None:
    optuna.create_study(study_name="idle", storage=STORAGE)
    set_up_mlflow()
    context = multiprocessing.get_context("spawn")
    shares = [trials // workers + (i < trials % workers) for i in range(workers)]
    processes = [context.Process(target=work, args=(share, epochs, metrics)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in processes))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
