"""A sweep on MLflow's own server with its own passwords, `--app-name basic-auth`."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from reading import artifacts, children, steps
from serving import served

pytestmark = [pytest.mark.slow, pytest.mark.long]
Command = Callable[..., subprocess.CompletedProcess[str]]
ADMIN, OWN = ("admin", "a-long-password"), ("mia", "her-long-password")
CONFIGURATION = """
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/users.db
admin_username = {admin[0]}
admin_password = {admin[1]}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """One that lets in its administrator, and a user who may have sweeps of her own."""
    pytest.importorskip("flask_wtf", reason="a server with passwords needs mlflow[auth]")
    configuration = tmp_path / "auth.ini"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, admin=ADMIN))
    own = {"MLFLOW_AUTH_CONFIG_PATH": str(configuration), "MLFLOW_FLASK_SERVER_SECRET_KEY": "secret"}
    with served(f"sqlite:///{tmp_path}/server.db", tmp_path / "served", app="basic-auth", **own) as url:
        user = dict(zip(("username", "password"), OWN, strict=True))
        made = requests.post(f"{url}/api/2.0/mlflow/users/create", json=user, auth=ADMIN, timeout=30)
        assert made.status_code == 200
        yield url


def login(name: str, password: str) -> dict[str, str]:
    return {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}


@pytest.mark.timeout(400)
def test_a_user_of_a_server_with_passwords_has_sweeps_there_and_others_are_told_in_a_line(
    server: str, write: Callable[[str], Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}\n")
    launch = ("launch", "toy.yaml", "--workers", "1", "--tracking-uri", server)
    for known in ({}, login(OWN[0], "wrong")):
        refused = command(*launch, **known)
        assert refused.returncode == 2
        said = f"sweep: the store {server} cannot be opened: the store answers with 401 Unauthorized\n"
        assert refused.stderr == said
    done = command(*launch, **login(*OWN))
    assert done.returncode == 0, done.stderr
    assert OWN[1] not in done.stdout + done.stderr
    for name, value in login(*OWN).items():
        monkeypatch.setenv(name, value)
    found = children(server, "toy")
    assert [run.data.tags["outcome"] for run in found] == ["completed"] * 2
    for run in found:
        assert steps(server, run, "train_loss") == [1, 2, 3]
        assert "note.txt" in artifacts(server, run)
        assert OWN[1] not in str(run.to_dictionary())
