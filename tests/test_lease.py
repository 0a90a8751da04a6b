"""Launches of one sweep into one server from machines that share no disk."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import Fault, proxied
from mlflow import MlflowClient
from serving import served

from orchestrator.errors import AlreadyRunningError
from orchestrator.trackers import lease, resending
from orchestrator.trackers.client import client_of
from orchestrator.trackers.lease import Lease, check_free


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


@pytest.fixture
def cut_off(client: MlflowClient, held: Lease) -> None:
    """A launch elsewhere that has not given the sweep back, and is not heard of."""
    beat = client.get_experiment("0").tags[lease.HEARTBEAT]
    held.release()
    client.set_experiment_tag("0", lease.HEARTBEAT, beat)


@pytest.mark.slow
@pytest.mark.usefixtures("cut_off")
def test_who_looks_whether_a_sweep_is_free_leaves_word_of_a_launch_that_was_cut_off(client: MlflowClient) -> None:
    check_free(client, "http://a.server", "0")
    there = Lease(client, "0", host="there")
    there.take()
    assert there.was_anothers
    there.release()


@pytest.mark.slow
@pytest.mark.usefixtures("cut_off")
def test_a_launch_that_has_not_seen_to_what_was_cut_off_leaves_that_to_the_next(client: MlflowClient) -> None:
    for settles, was_anothers in ((False, True), (True, True), (True, False)):
        there = Lease(client, "0", host="there")
        there.take()
        assert there.was_anothers == was_anothers
        if settles:
            there.mark_settled()
        there.release()


@pytest.mark.slow
def test_a_launch_that_is_stopped_as_it_takes_a_sweep_lets_whoever_took_it_meanwhile_see_that(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, other = (Lease(client, "0", host=host) for host in ("here", "there"))
    hold = late._hold

    def stopped() -> None:
        other.take()
        hold()

    monkeypatch.setattr(late, "_hold", stopped)
    late.take()
    with pytest.raises(AlreadyRunningError, match="on here since"):
        other.check()  # at once, without asking: it has been told meanwhile
    assert late.was_anothers
    late.release()


@pytest.mark.slow
def test_a_server_that_asks_to_be_left_alone_for_a_minute_loses_no_launch_its_sweep(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: MlflowClient
) -> None:
    monkeypatch.setattr(resending, "LONGEST_SHORT_WAIT", 0.1)
    busy = Fault("429", arrives=False, status=429, headers={"Retry-After": "60"})
    beats = itertools.count()

    def every_second(_: int, __: str, path: str) -> Fault | None:
        return busy if path.endswith("set-experiment-tag") and next(beats) % 2 else None

    with served(store, tmp_path / "artifacts") as server, proxied(server, every_second) as proxy:
        here = Lease(client_of(proxy.url), "0", host="here")
        here.take()
        for _ in range(2):
            with pytest.raises(AlreadyRunningError, match="on here since"):
                Lease(client, "0", host="there").take()
        here.check()
        here.release()
        assert proxy.faults["429"] > 2
