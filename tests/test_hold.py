"""Launches of one sweep into one server from machines that share no disk."""

import time
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

from orchestrator.errors import HeldError
from orchestrator.trackers import hold
from orchestrator.trackers.hold import Hold


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setattr(hold, "SECONDS_BETWEEN_BEATS", 0.2)
    monkeypatch.setattr(hold, "SECONDS_WATCHED", 2.0)
    return MlflowClient(tracking_uri=store)


@pytest.fixture
def held(client: MlflowClient) -> Iterator[Hold]:
    here = Hold(client, "0", host="here")
    here.take()
    yield here
    here.release()


def checked_for(seconds: float, hold: Hold) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        hold.check()
        time.sleep(0.05)


def test_a_sweep_that_a_living_launch_elsewhere_holds_is_refused(client: MlflowClient, held: Hold) -> None:
    with pytest.raises(HeldError, match=r"run already, by process \d+ on here since 20\d\d-"):
        Hold(client, "0", host="there").take()
    held.check()


def test_a_sweep_that_was_given_back_is_taken_at_once(client: MlflowClient, held: Hold) -> None:
    held.release()
    assert hold.TAG not in client.get_experiment("0").tags
    there = Hold(client, "0", host="there")
    there.take()
    there.release()


def test_the_hold_of_a_dead_launch_does_not_block(client: MlflowClient, held: Hold) -> None:
    told = client.get_experiment("0").tags[hold.TAG]
    held.release()
    client.set_experiment_tag("0", hold.TAG, told)  # as one that died leaves it
    there = Hold(client, "0", host="there")
    there.take()
    there.release()


def test_a_launch_that_slept_while_another_took_over_learns_of_it(client: MlflowClient, held: Hold) -> None:
    there = Hold(client, "0", host="there")
    there._beat()  # as after a time in which nobody else's hold changed
    with pytest.raises(HeldError, match="on there since"):
        checked_for(20, held)
    held.release()
    assert "there" in client.get_experiment("0").tags[hold.TAG]
