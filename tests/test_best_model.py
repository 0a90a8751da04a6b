"""The best trial's model, as MLflow keeps models: one a sweep, that moves, and that loads without this package."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
from reading import children

import orchestrator
from models.config import TrainConfig
from models.export import export
from models.vae import build, save
from orchestrator.spec import load
from orchestrator.trackers import Tracker

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:exporting\nmetric: {{name: score, goal: maximize}}\nparameters: {{x: {{values: [{}]}}}}\n"
SMALL = TrainConfig(architecture="conv", num_layers=2, latent_dim=4)


def models(store: str) -> list[LoggedModel]:
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    return list(client.search_logged_models([experiment.experiment_id]))


def kept(model: LoggedModel) -> str:
    return (Path(model.artifact_location.removeprefix("file://")) / "x").read_text()


@pytest.mark.slow
def test_the_best_model_stands_once_and_moves_to_a_better_one(store: str, write: Write, sweep: Sweep) -> None:
    assert "exporting the model of x=2" in sweep("launch", write(TOY.format("1, 2"))).stdout
    (first,) = models(store)
    assert first.status == "READY"
    assert first.tags.items() >= {"sweep": "toy", "config": "x=2"}.items()
    best = next(run for run in children(store, "toy") if run.info.run_name == "x=2")
    assert (first.source_run_id, first.params["x"], kept(first)) == (best.info.run_id, "2.0", "2.0")
    assert [output.model_id for output in best.outputs.model_outputs] == [first.model_id]
    assert "exporting" not in sweep("launch", write(TOY.format("1, 2"))).stdout
    assert "exporting" not in sweep("launch", write(TOY.format("1, 2")), "--set", "x=5").stdout
    assert "exporting" not in sweep("launch", write(TOY.format("1, 2")), "--set", "x=1").stdout
    assert [model.model_id for model in models(store)] == [first.model_id]
    assert sweep("launch", write(TOY.format("0.5, 1, 2"))).returncode == 0
    assert [model.model_id for model in models(store)] == [first.model_id]
    assert sweep("launch", write(TOY.format("0.5, 1, 2, 3"))).returncode == 0
    (second,) = models(store)
    assert kept(second) == "3.0"
    assert not Path(first.artifact_location.removeprefix("file://"), "x").exists()


@pytest.mark.slow
def test_a_model_that_cannot_be_exported_is_said_and_tried_again(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "broken").touch()
    done = sweep("launch", write(TOY.format("1")))
    assert done.returncode == 0
    log = folder / "mlruns" / "work" / "toy" / "workers.log"
    assert f"the model of toy could not be exported; see {log}" in done.stdout
    assert "ValueError: no way to write it" in log.read_text()
    assert models(store) == []
    (folder / "broken").unlink()
    sweep("launch", "toy.yaml")
    assert [kept(model) for model in models(store)] == ["1.0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "refused",
    [
        "log_model_artifacts",
        *(pytest.param(call, marks=pytest.mark.slow) for call in ("search_logged_models", "create_logged_model")),
    ],
)
def test_a_store_that_takes_no_model_ends_no_launch(
    store: str, write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("no such thing", error_code=ENDPOINT_NOT_FOUND)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, refused, refuse)
        assert len(orchestrator.launch(write(TOY.format("1"))).trials) == 1
    assert "the model of toy could not be logged: MLflow: no such thing" in capsys.readouterr().out
    orchestrator.launch("toy.yaml")
    assert [model.status for model in models(store)] == ["READY"]


@pytest.mark.slow
def test_a_model_that_is_none_leaves_nothing_behind(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    (folder / "empty").touch()
    done = sweep("launch", write(TOY.format("1")))
    assert done.returncode == 0
    assert "the model of toy could not be logged" in done.stdout
    assert models(store) == []


@pytest.mark.slow
def test_of_two_models_that_a_kill_has_left_the_best_trials_stays(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY.format("1, 2")))
    client = MlflowClient(tracking_uri=store)
    (best,) = models(store)
    other = next(run for run in children(store, "toy") if run.info.run_name == "x=1")
    left = client.create_logged_model(best.experiment_id, "model", other.info.run_id, dict(best.tags))
    client.finalize_logged_model(left.model_id, LoggedModelStatus.READY)
    sweep("launch", write(TOY.format("1, 2")))
    assert [model.model_id for model in models(store)] == [best.model_id]
    assert kept(best) == "2.0"


@pytest.mark.slow
def test_a_script_without_a_guard_exports_once(store: str, folder: Path, write: Write) -> None:
    write(TOY.format("1"))
    script = "import orchestrator\nprint('once')\norchestrator.launch('toy.yaml', quiet=True)\n"
    (folder / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "once\n"), done.stderr
    assert [kept(model) for model in models(store)] == ["1.0"]


def test_an_export_answers_no_ctrl_c(folder: Path) -> None:
    (folder / "x").write_text("1.0")
    (folder / "script.py").write_text(
        "import os, signal, threading\nfrom pathlib import Path\nfrom orchestrator import functions\n"
        "from orchestrator.worker.export import export\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\nended = threading.Event()\n"
        "def press():\n    while not ended.wait(0.01):\n        os.killpg(0, signal.SIGINT)\n"
        "threading.Thread(target=press).start()\n"
        "print(export(functions.find('toys:exporting'), Path.cwd(), Path('model'), Path('log')))\nended.set()\n"
    )
    script = [sys.executable, "script.py"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, start_new_session=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.slow
def test_of_explosions_there_is_no_model(store: str, write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write(TOY.format("1")), "--set", "mode=nan")
    assert "loss explosion" in done.stdout
    assert done.returncode == 0
    assert "export" not in done.stdout
    assert models(store) == []


@pytest.mark.slow
def test_what_a_killed_launch_left_of_a_model_is_cleared(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY.format("1"))
    sweep("launch", path)
    (whole,) = models(store)
    client = MlflowClient(tracking_uri=store)
    client.delete_logged_model(whole.model_id)
    torn = client.create_logged_model(whole.experiment_id, "model", whole.source_run_id, dict(whole.tags))
    tracker = Tracker(store, load(path))
    tracker.open(1)
    (record,) = tracker.records("toy")
    assert not tracker.has_model(record)
    tracker.close("FINISHED")
    sweep("launch", path)
    (model,) = models(store)
    assert model.model_id != torn.model_id
    assert model.status == "READY"


MLFLOW_WARNS = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")  # of its own code


@pytest.fixture
def exported(tmp_path: Path) -> tuple[torch.nn.Module, Path]:
    torch.manual_seed(0)
    model = build(SMALL).eval()
    save(model, SMALL, tmp_path / "artifacts" / "model")
    export(tmp_path / "artifacts", tmp_path / "exported")
    return model, tmp_path / "exported"


@MLFLOW_WARNS
@pytest.mark.slow
def test_the_vae_is_exported_with_signature_and_example(exported: tuple[torch.nn.Module, Path]) -> None:
    model, folder = exported
    images = torch.rand(5, 1, 28, 28)
    loaded = mlflow.pytorch.load_model(str(folder))
    with torch.no_grad():
        expected = model.decode(model.encode(images)[0])  # type: ignore[operator]
        torch.testing.assert_close(loaded(images), expected)
    service = mlflow.pyfunc.load_model(str(folder))
    np.testing.assert_allclose(service.predict(images.numpy()), expected.numpy(), rtol=1e-4, atol=1e-6)
    assert service.metadata.signature.inputs.inputs[0].shape == (-1, 1, 28, 28)
    assert np.asarray(service.input_example).shape == (2, 1, 28, 28)
    assert not any("models" in path.parts for path in folder.rglob("*"))  # none of our code


@MLFLOW_WARNS
@pytest.mark.slow
def test_mlflow_predicts_from_a_shell(tmp_path: Path) -> None:
    config = TrainConfig(architecture="attention")
    save(build(config), config, tmp_path / "artifacts" / "model")
    export(tmp_path / "artifacts", tmp_path / "exported")
    images = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    (tmp_path / "images.json").write_text(json.dumps({"inputs": images.tolist()}))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", str(tmp_path / "exported")]
    command += ["--env-manager", "local", "-i", "images.json", "-t", "json", "-o", "out.json"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    told = np.asarray(json.loads((tmp_path / "out.json").read_text())["predictions"])
    assert told.shape == images.shape
    assert ((told > 0) & (told < 1)).all()
