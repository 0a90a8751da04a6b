"""What programs log by MLflow and by TensorBoard is followed from outside, in the files that these make."""

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.programs.followers.event_files import EventFiles
from orchestrator.programs.followers.mlflow_store import MlflowStore
from orchestrator.programs.followers.records import masked_crc
from orchestrator.programs.logged import ArtifactLogged, Logged, Message, Noted

REAL = Path(__file__).parent / "event_files"


def values(messages: list[Message] | list[Logged]) -> list[tuple[int | None, dict[str, float]]]:
    return [(one.step, dict(one.metrics)) for one in messages if isinstance(one, Logged)]


# MLflow

SCRIPT = """
import pathlib, mlflow
mlflow.set_experiment("mine")
with mlflow.start_run():
    mlflow.log_params({"lr": 0.1, "a/b": "x"})
    mlflow.set_tag("note", "two\\nlines")
    for step in range(3):
        mlflow.log_metrics({"loss": 1 / (step + 1), "val/acc": float("nan"), "epoch": step}, step=step)
    for _ in range(3):
        mlflow.log_metric("plain", 7)
    pathlib.Path("weights.bin").write_bytes(b"w")
    mlflow.log_artifact("weights.bin")
    mlflow.log_text("hello", "texts/hello.txt")
    with mlflow.start_run(nested=True):
        mlflow.log_metric("inner", 3, step=2)
"""


@pytest.mark.slow
def test_what_a_script_logs_with_mlflow_comes_through(tmp_path: Path) -> None:
    store = tmp_path / "store"
    env = {**os.environ, "MLFLOW_TRACKING_URI": str(store), "MLFLOW_ALLOW_FILE_STORE": "true"}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=env, check=True)
    follower = MlflowStore(store)
    messages = follower.end()
    logged = values(messages)
    assert [(step, found["loss"], found["epoch"]) for step, found in logged if "loss" in found] == [
        (0, 1, 0),
        (1, 1 / 2, 1),
        (2, 1 / 3, 2),
    ]
    assert [step for step, found in logged if "plain" in found] == [0, None, None]
    assert (2, {"inner": 3}) in logged
    assert {k: v for one in messages if isinstance(one, Noted) for k, v in one.tags.items()} == {
        "lr": "0.1",
        "a/b": "x",
        "note": "two\nlines",
    }
    kept = {one.name: Path(one.path) for one in messages if isinstance(one, ArtifactLogged)}
    assert kept["weights.bin"].read_bytes() == b"w"
    assert (kept["texts"] / "hello.txt").read_text() == "hello"
    assert values(follower.end()) == []


class Store:
    """Writes as MLflow does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / "0" / "5b4f"

    def log(self, text: str, name: str = "loss", run: str = "5b4f") -> None:
        path = self.folder / "0" / run / "metrics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_store_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    follower = MlflowStore(tmp_path / "store")
    assert follower.poll() == []
    assert follower.end() == []


def test_each_value_of_a_store_is_read_once_and_a_line_that_is_cut_off_later(store: Store) -> None:
    follower = MlflowStore(store.folder)
    store.log("1000 0.5 1\n2000 0.4")
    assert values(follower.poll()) == [(1, {"loss": 0.5})]
    assert values(follower.poll()) == []
    store.log("5 2\n3000 inf 3\n")
    assert values(follower.poll()) == [(2, {"loss": 0.45}), (3, {"loss": float("inf")})]


def test_values_of_one_time_and_step_are_one_call(store: Store) -> None:
    store.log("1000 0.5 1\n1000 0.4 2\n2000 0.3 3\n2000 0.2 3\n")
    store.log("1000 9 1\n2000 8 3\n", "val/acc")
    store.log("1000 7 1\n", "loss", "77aa")
    assert sorted(values(MlflowStore(store.folder).poll()), key=str) == sorted(
        [
            (1, {"loss": 0.5, "val/acc": 9}),
            (2, {"loss": 0.4}),
            (1, {"loss": 7}),
            (3, {"loss": 0.3, "val/acc": 8}),
            (3, {"loss": 0.2}),
        ],
        key=str,
    )


def test_a_call_that_may_still_be_written_waits(store: Store) -> None:
    follower = MlflowStore(store.folder)
    store.log(f"{int(time.time() * 1000) + 60_000} 0.5 1\n")
    assert follower.poll() == []
    store.log("1000 3 1\n", "epoch")
    assert values(follower.end()) == [(1, {"epoch": 3}), (1, {"loss": 0.5})]


def test_params_and_tags_are_noted_when_they_are_new_or_change(store: Store) -> None:
    follower = MlflowStore(store.folder)
    (store.run / "params").mkdir(parents=True)
    (store.run / "tags").mkdir()
    (store.run / "params" / "lr").write_text("0.1")
    (store.run / "tags" / "mlflow.user").write_text("me")
    (store.run / "tags" / "stage").write_text("one")
    assert follower.poll() == [Noted("mlflow", {"lr": "0.1", "stage": "one"})]
    assert follower.poll() == []
    (store.run / "tags" / "stage").write_text("second")
    assert follower.poll() == [Noted("mlflow", {"stage": "second"})]


def test_artifacts_of_the_same_name_in_two_runs_are_both_kept(store: Store) -> None:
    for run in ("5b4f", "77aa"):
        (store.folder / "0" / run / "artifacts").mkdir(parents=True)
        (store.folder / "0" / run / "artifacts" / "model.pt").write_text(run)
    found = [one for one in MlflowStore(store.folder).end() if isinstance(one, ArtifactLogged)]
    assert len({one.name for one in found}) == 2
    assert {Path(one.path).read_text() for one in found} == {"5b4f", "77aa"}


# TensorBoard


def field(number: int, data: bytes | float) -> bytes:
    """A field of a message: bytes, or a number as a double."""
    if isinstance(data, bytes):
        return bytes([number << 3 | 2]) + varint(len(data)) + data
    return bytes([number << 3 | 1]) + struct.pack("<d", data)


def varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + struct.pack("<I", masked_crc(length)) + message + struct.pack("<I", masked_crc(message))


def event(at: float, step: int, metrics: Mapping[str, float]) -> bytes:
    summary = b"".join(
        field(1, field(1, tag.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", value))
        for tag, value in metrics.items()
    )
    return record(field(1, at) + bytes([2 << 3]) + varint(step) + field(5, summary))


HEAD = record(field(1, 1.0) + field(3, b"brain.Event:2"))


@pytest.fixture
def following(tmp_path: Path) -> Callable[[Path], EventFiles]:
    return lambda folder: EventFiles(os.getpid(), [], folder)


def put(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{name}"
    path.write_bytes(data)
    return path


def test_the_checksum_is_the_one_of_the_standard() -> None:
    unmasked = (masked_crc(b"123456789") - 0xA282EAD8) & 0xFFFFFFFF
    assert ((unmasked << 15) | (unmasked >> 17)) & 0xFFFFFFFF == 0xE3069283


def test_files_that_torch_and_tensorboardx_have_written_are_read(
    tmp_path: Path, following: Callable[[Path], EventFiles]
) -> None:
    expected = [pytest.approx(1 / (step + 1)) for step in range(5)]
    for name in ("torch", "tensorboardx"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(REAL / f"{name}.tfevents", folder / "events.out.tfevents.1.host")
        logged = values(following(folder).poll())
        assert [found["loss/train"] for _, found in logged] == expected
        assert [step for step, _ in logged] == [*range(5)]
        assert [found.get("new") for _, found in logged] == ([0, 1.5, 3, 4.5, 6] if name == "torch" else [None] * 5)


def test_scalars_in_tensors_are_read_and_texts_are_not(tmp_path: Path, following: Callable[[Path], EventFiles]) -> None:
    shutil.copy(REAL / "tensors.tfevents", tmp_path / "events.out.tfevents.1.host")
    assert values(following(tmp_path).poll()) == [
        (step, {"new/a": step / 2, "new/b": step / 4, "new/c": step / 8}) for step in range(4)
    ]


def test_a_record_that_is_cut_off_anywhere_is_read_when_it_is_whole(
    tmp_path: Path, following: Callable[[Path], EventFiles]
) -> None:
    data = HEAD + event(1, 1, {"loss": 0.5}) + event(2, 2, {"loss": 0.25})
    path = put(tmp_path, "1.host", b"")
    follower = following(tmp_path)
    found = []
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        found += values(follower.poll())
    assert found == [(1, {"loss": 0.5}), (2, {"loss": 0.25})]


def test_metrics_that_are_logged_one_after_the_other_at_a_step_are_one_call(
    tmp_path: Path, following: Callable[[Path], EventFiles]
) -> None:
    calls = [(1.0, 1, "loss"), (1.01, 1, "epoch"), (2.0, 1, "loss"), (2.01, 1, "loss"), (3.0, 2, "acc")]
    put(tmp_path, "1.host", HEAD + b"".join(event(at, step, {name: step}) for at, step, name in calls))
    assert values(following(tmp_path).poll()) == [
        (1, {"loss": 1, "epoch": 1}),
        (1, {"loss": 1}),
        (1, {"loss": 1}),
        (2, {"acc": 2}),
    ]


def test_a_metric_that_is_at_step_zero_again_has_no_step(
    tmp_path: Path, following: Callable[[Path], EventFiles]
) -> None:
    put(tmp_path, "1.host", HEAD + b"".join(event(at, 0, {"loss": at}) for at in (1.0, 2.0, 3.0)))
    assert [step for step, _ in values(following(tmp_path).poll())] == [0, None, None]


def test_what_is_no_event_file_is_left_alone(tmp_path: Path, following: Callable[[Path], EventFiles]) -> None:
    put(tmp_path, "1.host", b"this is not a record of an event file at all")
    put(tmp_path, "2.host", record(b"\xff\xff\xff\xff"))
    put(tmp_path, "3.host", HEAD + event(1, 1, {"loss": 1}))
    follower = following(tmp_path)
    assert values(follower.poll()) == [(1, {"loss": 1})]
    assert values(follower.end()) == []


def test_folders_beside_the_first_give_names_and_those_that_are_times_do_not(
    tmp_path: Path, following: Callable[[Path], EventFiles]
) -> None:
    data = HEAD + event(1, 1, {"loss": 1})
    for folder in (".", "validation", "loss_test", "1795895183.2481768"):
        put(tmp_path / folder, "1.host", data)
    names = [name for _, found in values(following(tmp_path).poll()) for name in found]
    assert sorted(names) == ["loss", "loss", "loss/test", "validation/loss"]


def test_files_are_found_where_a_child_has_them_open_or_where_they_have_its_id_in_their_name(tmp_path: Path) -> None:
    held = put(tmp_path / "elsewhere", "1.host", HEAD + event(1, 1, {"held": 1}))
    code = f"import time; file = open({str(held)!r}, 'ab'); print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout
        child.stdout.readline()
        follower = EventFiles(child.pid, [tmp_path / "logs"], tmp_path / "own")
        put(tmp_path / "logs" / "a", f"1.host.{child.pid}.0", HEAD + event(2, 2, {"named": 1}))
        put(tmp_path / "logs" / "b", "1.host.1.0", HEAD + event(2, 2, {"of_another": 1}))
        names = [name for _, found in values(follower.end()) for name in found]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert [name.rsplit("/", 1)[-1] for name in names] == ["held", "named"]
