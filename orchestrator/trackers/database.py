"""The database of a store in a file."""

from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient

from orchestrator.system.paths import sqlite_uri


def make(path: Path) -> None:
    """Make a SQLite store: whole, whoever is killed meanwhile, and once, whoever makes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.is_file():
            return
        unfinished = path.with_suffix(".unfinished")
        for left in path.parent.glob(f"{unfinished.name}*"):
            left.unlink()
        MlflowClient(tracking_uri=sqlite_uri(unfinished)).search_experiments(max_results=1)  # makes the schema
        unfinished.replace(path)
