"""Sweeps of two machines at once on one MLflow server with PostgreSQL, behind a proxy."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import two_machines
from faulty import proxied
from serving import served

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_two_sweeps_at_once_behind_a_faulty_proxy_lose_and_double_nothing(
    postgresql: Callable[[], str], tmp_path: Path
) -> None:
    wrong, proxy = two_machines.run(tmp_path, postgresql(), trials=6, share=0.25, seed=1)
    assert wrong == []
    assert proxy.faults.total() - proxy.faults["none"] > 20


def test_the_proxy_lets_nobody_in_who_does_not_say_who_they_are(postgresql: Callable[[], str], tmp_path: Path) -> None:
    with served(postgresql(), tmp_path, "/tracking") as url:
        origin = url.removesuffix("/tracking")
        with proxied(origin, lambda *_: None, "me:secret") as proxy:
            asked = f"{proxy.url}/tracking/api/2.0/mlflow/experiments/search?max_results=1"
            assert requests.get(asked, timeout=30).status_code == 401
            assert requests.get(asked, timeout=30, auth=("me", "secret")).status_code == 200
