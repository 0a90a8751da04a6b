"""Launches of one sweep into one server from machines that share no disk."""

import time
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

from orchestrator.errors import AlreadyRunningError
from orchestrator.trackers import lease
from orchestrator.trackers.lease import Lease


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setattr(lease, "SECONDS_BETWEEN_HEARTBEATS", 0.2)
    monkeypatch.setattr(lease, "SECONDS_WATCHED", 2.0)
    return MlflowClient(tracking_uri=store)


@pytest.fixture
def held(client: MlflowClient) -> Iterator[Lease]:
    here = Lease(client, "0", host="here")
    here.take()
    yield here
    here.release()


def checked_for(seconds: float, held: Lease) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        held.check()
        time.sleep(0.05)


def test_a_sweep_that_a_living_launch_elsewhere_holds_is_refused(client: MlflowClient, held: Lease) -> None:
    with pytest.raises(AlreadyRunningError, match=r"already running, in process \d+ on here since 20\d\d-"):
        Lease(client, "0", host="there").take()
    held.check()


@pytest.mark.slow
def test_a_sweep_that_was_given_back_is_taken_at_once(client: MlflowClient, held: Lease) -> None:
    held.release()
    there = Lease(client, "0", host="there")
    there.take()
    there.release()


@pytest.mark.slow
def test_the_hold_of_a_dead_launch_does_not_block(client: MlflowClient, held: Lease) -> None:
    told = client.get_experiment("0").tags[lease.TAG]
    held.release()
    client.set_experiment_tag("0", lease.TAG, told)  # as one that died leaves it
    there = Lease(client, "0", host="there")
    there.take()
    there.release()


def test_a_launch_that_slept_while_another_took_over_learns_of_it(client: MlflowClient, held: Lease) -> None:
    there = Lease(client, "0", host="there")
    there._hold()  # as after a time in which nobody else's hold changed
    with pytest.raises(AlreadyRunningError, match="on there since"):
        checked_for(20, held)
    held.release()
    assert "there" in client.get_experiment("0").tags[lease.TAG]
