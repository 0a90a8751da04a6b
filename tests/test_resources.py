"""What running trials take of the machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import children, steps

from orchestrator.events import Finished, Sampled, Started
from orchestrator.executors.resources import ResourceSampler
from orchestrator.trial import Outcome, Trial

TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")
CPU, MEGABYTES, PERCENT = (
    f"system/{name}"
    for name in ("cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage")
)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.executors.resources.SECONDS_BETWEEN_SAMPLES", 0.3)


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_a_running_trial_is_sampled_now_and_then_until_it_ends() -> None:
    busy = "x = bytearray(50_000_000)\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sampler = ResourceSampler()
        sampler.observe(TRIAL, Started(process.pid, 1))
        assert list(sampler.samples()) == []
        time.sleep(0.4)
        ((trial, sample),) = sampler.samples()
        assert trial is TRIAL
        assert isinstance(sample, Sampled)
        assert sample.metrics[CPU] > 0
        assert 50 < sample.metrics[MEGABYTES] < 500
        assert 0 < sample.metrics[PERCENT] < 100
        assert list(sampler.samples()) == []
        process.kill()
        process.wait()
        time.sleep(0.4)
        assert list(sampler.samples()) == []  # it died, and nobody has noticed yet
        sampler.observe(TRIAL, Started(os.getpid(), 1))  # it has another process now
        time.sleep(0.4)
        assert len(list(sampler.samples())) == 1
        sampler.observe(TRIAL, Finished(Outcome.COMPLETED))
        time.sleep(0.4)
        assert list(sampler.samples()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_the_samples_of_a_trial_stand_in_mlflow_beside_its_epochs(
    store: str, write: Callable[[str], Path], sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = write("trial: toys:train\nparameters: {x: {values: [1, 2]}, epochs: 4, pause: 0.4}")
    assert sweep("launch", path).returncode == 0
    for run in children(store, "toy"):
        sampled = steps(store, run, CPU)
        assert sampled == list(range(len(sampled)))
        assert len(sampled) >= 2
        assert steps(store, run, "train_loss") == [1, 2, 3, 4]
        assert run.data.tags["epochs_run"] == "4"


@pytest.mark.slow
def test_a_trial_that_takes_no_time_has_no_samples(
    store: str, write: Callable[[str], Path], sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    sweep("launch", write("trial: toys:train"))
    (run,) = children(store, "toy")
    assert not any(name.startswith("system/") for name in run.data.metrics)
