"""Where launches of a sweep on a server meet, in a folder that is for all users."""

import tempfile
from pathlib import Path

import pytest

from orchestrator.errors import AlreadyRunningError, InputError
from orchestrator.system.paths import lock_folder
from orchestrator.workspace import Workspace

SERVER = "http://127.0.0.1:9"


@pytest.mark.parametrize("how", ["link", "open to others"])
def test_a_place_that_somebody_else_may_have_made_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    top = lock_folder(SERVER, "toy").parent.parent
    if how == "link":
        (tmp_path / "theirs").mkdir()
        top.symlink_to(tmp_path / "theirs")
    else:
        top.mkdir()
        top.chmod(0o777)
    with pytest.raises(InputError, match="no folder to which this user alone can write"), Workspace(SERVER, "toy"):
        pass
    top.unlink() if how == "link" else top.rmdir()
    with Workspace(SERVER, "toy"):
        assert Workspace(SERVER, "toy").is_held()
    assert top.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("held", "asked"), [(SERVER, "sqlite:///mlruns/mlflow.db"), ("sqlite:///mlruns/mlflow.db", SERVER)]
)
def test_a_folder_in_which_a_launch_into_another_store_may_work_is_known(folder: Path, held: str, asked: str) -> None:
    with Workspace(asked, "toy") as workspace:
        workspace.check_unheld()
        with (
            Workspace(held, "toy"),
            pytest.raises(AlreadyRunningError, match="of a sweep of this name in another store"),
        ):
            workspace.check_unheld()
        workspace.check_unheld()
