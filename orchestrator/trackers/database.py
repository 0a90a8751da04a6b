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


def try_once(uri: str) -> None:
    """Have MLflow try to reach a database once, and not for a hundred seconds without a word: others do that better."""
    if "://" in uri and not uri.startswith(("http:", "https:")):
        from mlflow.store.db import utils  # which takes a while to import, and servers need none of it

        utils.MAX_RETRY_COUNT = 1
