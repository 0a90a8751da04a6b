"""Ray clusters as they are set up elsewhere: a launch that is itself a job there, and machines that are added."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray_hosts
from ray_hosts import Hosts, await_ray

from orchestrator.trackers import Store
from orchestrator.trial import Outcome

ROOT = Path(__file__).parent.parent
ADDRESS = "10.77.0.10:6379"
SWEEP = f"""
trial: toys:train
parameters:
  x: {{values: [1.0, 2.0]}}
executor: {{ray: {{address: "{ADDRESS}"}}}}
record_code: false
"""
HEAD_NODE = "f" * 51 + "00000"
# Ray's own engine for tests: it starts further nodes on the same machine.
GROWING = {
    "cluster_name": "growing",
    "max_workers": 3,
    "provider": {
        "type": "fake_multinode",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "head_node_id": HEAD_NODE,
    },
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "large": {
            "resources": {"CPU": 2, "object_store_memory": 80_000_000},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 3,
        },
    },
    "head_node_type": "ray.head.default",
    "idle_timeout_minutes": 10,
    "upscaling_speed": 1.0,
    "file_mounts_sync_continuously": False,
    **{key: {} for key in ("auth", "docker", "file_mounts")},
    **{f"{step}_commands": [] for step in ("initialization", "setup", "head_setup", "worker_setup")},
    **{key: [] for key in ("head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files")},
    **{key: [] for key in ("rsync_exclude", "rsync_filter")},
}
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """A host without Ray."""
    if why := ray_hosts.lacking():
        if os.environ.get("SWEEP_CLUSTERS") == "needed":
            pytest.fail(f"{why}, and these tests were to run")
        pytest.skip(why)
    with Hosts(1) as hosts:
        yield hosts


@pytest.fixture
def place(empty_store: Path) -> Iterator[Path]:
    """A folder that the host sees, with a sweep and a store that lasts."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    shutil.copy(Path(__file__).parent / "toys.py", place)
    (place / "toy.yaml").write_text(SWEEP)
    (place / "lasting").mkdir()
    shutil.copy(empty_store, place / "lasting" / "mlflow.db")
    yield place
    shutil.rmtree(place)


@pytest.fixture
def run(hosts: Hosts, place: Path) -> Run:
    """Run a command in that folder, on the host."""

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        own = {"PYTHONPATH": str(ROOT), "HOME": "/root", "MLFLOW_TRACKING_URI": store(place)}
        return subprocess.run(
            [*hosts.inside("ray0"), "sh", "-c", f'cd {place} && exec "$@"', "sh", *command],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def store(place: Path) -> str:
    return f"sqlite:///{place / 'lasting' / 'mlflow.db'}"


def outcomes(place: Path) -> list[Outcome | None]:
    return [record.outcome for record in Store(store(place)).records("toy")]


def await_monitor(run: Run) -> None:
    """Wait until Ray's monitor has reported, which it does with and without an autoscaler."""
    deadline = time.monotonic() + 60
    while "Node status" not in run(ray_hosts.RAY, "status", "--address", ADDRESS).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


NODES = f"""
import ray
ray.init("{ADDRESS}", log_to_driver=False)
print(*sorted(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]))
"""
LAUNCH = (sys.executable, "-m", "orchestrator", "launch", "toy.yaml")


def test_a_sweep_is_launched_by_a_job_if_its_store_lasts(hosts: Hosts, place: Path, run: Run) -> None:
    hosts.start("ray0", cpus=2, more="--include-dashboard=true --dashboard-host=127.0.0.1 --dashboard-port=8265")
    await_ray(ADDRESS, hosts.on("ray0"))
    submit = (ray_hosts.RAY, "job", "submit", "--address", "http://127.0.0.1:8265", "--working-dir", ".")
    own = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    submit = (*submit, "--runtime-env-json", json.dumps(own), "--", *LAUNCH)
    for _ in range(30):  # the dashboard is there later than the cluster
        refused = run(*submit)
        if "Job submission server address" in refused.stdout:
            break
        time.sleep(1)
    assert "lies in Ray's cache, which Ray removes" in refused.stdout
    assert "exit code 2" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout
    done = run(*submit, "--tracking-uri", store(place))
    assert done.returncode == 0, done.stdout
    assert outcomes(place) == [Outcome.COMPLETED] * 2


def test_what_no_machine_has_is_refused_unless_machines_may_be_added(hosts: Hosts, place: Path, run: Run) -> None:
    hosts.start("ray0", cpus=2)
    await_ray(ADDRESS, hosts.on("ray0"))
    await_monitor(run)
    refused = run(*LAUNCH, "--set-executor", "cpus=99")
    assert refused.returncode == 2
    assert "a trial takes 99 cores, and no machine of the cluster has more than 2" in refused.stderr


def test_as_many_machines_are_added_as_trials_need(hosts: Hosts, place: Path, run: Run) -> None:
    (place / "growing.yaml").write_text(json.dumps(GROWING))
    hosts.start(
        "ray0",
        cpus=0,
        more=f"--autoscaling-config={place / 'growing.yaml'}",
        RAY_FAKE_CLUSTER="1",
        AUTOSCALER_UPDATE_INTERVAL_S="1",
        RAY_OVERRIDE_NODE_ID_FOR_TESTING=HEAD_NODE,
    )
    await_ray(ADDRESS, hosts.on("ray0"))
    await_monitor(run)
    launched = run(*LAUNCH, "--set-executor", "cpus=2", "--set", "x=1.0")
    assert launched.returncode == 0, launched.stderr
    assert outcomes(place) == [Outcome.COMPLETED]
    assert run(sys.executable, "-c", NODES).stdout.split() == ["0", "2"]  # the head, and one


def test_a_cluster_that_asks_for_a_token_is_told_it_or_says_how(
    hosts: Hosts, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 32)
    hosts.start("ray0", cpus=2)
    await_ray(ADDRESS, hosts.on("ray0"))
    assert run(*LAUNCH).returncode == 0
    assert outcomes(place) == [Outcome.COMPLETED] * 2
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    refused = run(*LAUNCH, "--rerun")
    assert refused.returncode == 2
    assert "cannot be used: it asks for a token: set RAY_AUTH_MODE=token" in refused.stderr
