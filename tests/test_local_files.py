"""What trials leave in their folders: which files are taken, and that no others stop, hold or fool a sweep."""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from errno import EACCES
from pathlib import Path
from typing import IO

import pytest
from PIL import Image
from reading import artifacts, children, outcomes
from requests import ConnectionError as ConnectionCutError
from requests import HTTPError, Response

from orchestrator.errors import StoreBusyError
from orchestrator.events import Finished, Progress, Tagged
from orchestrator.programs.environment import CHECKPOINTS
from orchestrator.programs.files import LoggedFiles
from orchestrator.programs.followers.mlflow_store import MlflowStore
from orchestrator.programs.logged import ArtifactLogged
from orchestrator.spec import load
from orchestrator.system import regular, stalling
from orchestrator.system.regular import NotRegularError, opened
from orchestrator.system.stalling import StalledError, attended
from orchestrator.system.taken import DEEPEST, obstacle, taken
from orchestrator.trackers import Tracker, faults, remains
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import journal
from orchestrator.worker.monitor import MonitorState
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")
END = Finished(Outcome.COMPLETED, {"final": 1.0})
# what root may read anyway, another user may not: this is root without its rights, where the tests are root's
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # their paths may be no longer than 107 characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero, which never ends
    except PermissionError:
        pytest.skip("no device may be made here")


ODD = {"a named pipe": pipe, "a socket": unix_socket, "a device": device}


@contextmanager
def running_server(folder: Path, database: str) -> Iterator[str]:
    """A real server of MLflow's; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "remote"), "--port", str(address[1])]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(300):
            time.sleep(0.3)
            with suppress(OSError), socket.create_connection(address):
                break
        yield f"http://127.0.0.1:{address[1]}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()


@contextmanager
def silent(place: Path) -> Iterator[None]:
    """A file system that never answers; skips the test where none may be mounted."""
    try:
        file = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        pytest.skip("there is no FUSE here")
    options = f"fd={file},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
    place.mkdir()
    try:
        if ctypes.CDLL(None).mount(b"silent", str(place).encode(), b"fuse", 0, options):
            pytest.skip("no file system may be mounted here")
        yield
    finally:
        os.close(file)
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """The folder of a trial, with artifacts and a file that is a secret of somebody else's."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "trial"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "artifacts" / "good.txt").write_text("good")
    return folder


@pytest.fixture
def tracker(store: str, write: Write) -> Tracker:
    text = "trial: toys:train\nmetric: {name: score, goal: maximize}\nkeep: ['*.pt', 'kept/*']\n"
    tracker = Tracker(store, load(write(text)))
    tracker.open(1)
    return tracker


@pytest.mark.parametrize("kind", ODD)
def test_only_regular_files_are_opened_and_no_other_is_waited_for(tmp_path: Path, kind: str) -> None:
    ODD[kind](tmp_path / "odd")
    (tmp_path / "link").symlink_to("odd")
    for name in ("link", "odd"):
        for mode in ("rb", "ab", "r+b", "wb"):
            with pytest.raises(NotRegularError, match=kind):
                opened(tmp_path / name, mode)
        assert regular.content(tmp_path / name) == b""
        regular.replace(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"
        assert not (tmp_path / name).is_symlink()
    with opened(tmp_path / "made", "ab") as file:
        assert os.get_blocking(file.fileno())


def test_what_is_no_regular_file_is_left_out_and_said(tracker: Tracker, workdir: Path) -> None:
    seen = workdir / "images" / "seen"
    seen.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(seen / "0.png")
    places = {"log.txt": "a named pipe"}
    for step, kind in enumerate(ODD, start=1):
        names = (f"artifacts/{step}", f"artifacts/{step}.png", f"images/seen/{step}.png", f"{step}.pt")
        places |= dict.fromkeys(names, kind)
    for place, kind in places.items():
        ODD[kind](workdir / place)
    tracker.write(TRIAL, [Progress(1, {"score": 1.0}, 1.0), END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert run.info.status == "FINISHED"
    assert artifacts(tracker.uri, run) == {"good.txt", "images"}
    assert len(artifacts(tracker.uri, run, "images")) == 2
    said = run.data.tags["artifacts.problem"]
    assert all(f"{place} is {kind}, and no regular file" in said for place, kind in places.items()), said


def test_links_are_taken_as_what_they_lead_to_within_the_folder_and_no_further(tracker: Tracker, workdir: Path) -> None:
    (workdir / "checkpoints").mkdir()
    (workdir / "checkpoints" / "1.pt").write_text("first")
    links = {
        "latest": "../checkpoints",
        "first": "../checkpoints/1.pt",
        "secret": "../../secret",
        "all": "../..",
        "etc": "/etc",
        "nowhere": "nothing",
        "self": "self",
        "loop": ".",
    }
    for name, target in links.items():
        (workdir / "artifacts" / name).symlink_to(target)
    (workdir / "best.pt").symlink_to("checkpoints/1.pt")
    (workdir / "out.pt").symlink_to("../secret")
    (workdir / "kept").symlink_to("/etc")
    tracker.write(TRIAL, [END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert artifacts(tracker.uri, run) == {"good.txt", "latest", "first", "best.pt"}
    assert artifacts(tracker.uri, run, "latest") == {"latest/1.pt"}
    said = run.data.tags["artifacts.problem"]
    top = workdir.parent
    for name, target in {"secret": f"{top}/secret", "all": str(top), "etc": "/etc"}.items():
        assert f"artifacts/{name} links to {target}, outside of the trial's folder" in said
    assert f"out.pt links to {top}/secret, outside of the trial's folder" in said
    assert "kept links to /etc, outside of the trial's folder" in said
    assert "artifacts/nowhere leads nowhere" in said
    assert "artifacts/self leads nowhere" in said
    assert "artifacts/loop leads back to a folder that it is in" in said
    assert "latest" not in said


@pytest.mark.parametrize("target", ["/etc", "../..", "nothing"])
def test_nothing_is_taken_of_a_folder_that_is_a_link_out(workdir: Path, target: str) -> None:
    shutil.rmtree(workdir / "artifacts")
    (workdir / "artifacts").symlink_to(target)
    found = taken(workdir / "artifacts", workdir)
    assert not found.files
    assert len(found.problems("artifacts")) == 1
    shutil.rmtree(workdir)
    workdir.symlink_to("/etc")  # the folder of the trial itself
    assert not taken(workdir, workdir).files
    assert "outside" in str(obstacle(workdir / "passwd", workdir))


@pytest.mark.parametrize("keep", ["", "keep: ['*.pt']\n"])
def test_a_work_folder_of_a_program_that_leads_out_is_said(
    store: str, write: Write, folder: Path, workdir: Path, keep: str
) -> None:
    (folder / "train.py").write_text("print('loss: 1')")
    tracker = Tracker(store, load(write(f"program: train.py\nparameters: {{x: 1}}\n{keep}")))
    tracker.open(1)
    (workdir / CHECKPOINTS).symlink_to("/etc")
    tracker.write(TRIAL, [END], workdir)
    (run,) = children(store, "toy")
    assert "its work folder links to /etc, outside of the trial's folder" in run.data.tags["artifacts.problem"]
    assert artifacts(store, run) == {"good.txt"}


def test_a_folder_that_cannot_be_listed_is_said(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / CHECKPOINTS).mkdir()
    closed(monkeypatch, "scandir")
    found = remains.kept(workdir / CHECKPOINTS, ["*.pt"], workdir)
    assert found.problems("", "its work folder") == ["its work folder cannot be listed (Permission denied)"]


def closed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the system refuse a call, as to somebody who may not look into a folder."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(EACCES, "Permission denied")

    monkeypatch.setattr(f"orchestrator.system.taken.os.{name}", refused)


@pytest.mark.slow
def test_any_number_of_ways_between_folders_and_any_depth_of_them_come_to_an_end(workdir: Path) -> None:
    folder = workdir / "artifacts"
    for number in range(8):
        (folder / f"{number}").mkdir()
        for way in range(6):
            (folder / f"{number}" / f"way{way}").symlink_to(f"../{number + 1}")
    (folder / "8").mkdir()
    (folder / "8" / "end").write_text("end")
    deep = folder
    for _ in range(DEEPEST + 50):
        deep /= "d"
        deep.mkdir()
    found = taken(folder, workdir)
    assert Path("8/end") in found.files
    assert len(found.files) < 2000
    assert f"is more than {DEEPEST} folders deep" in found.left_out.values()
    assert any("links to folders" in reason for reason in found.left_out.values())


def test_what_may_not_be_looked_at_is_left_out_and_said(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file system has it that does not say with a name what it is of."""

    class Closed:
        name, path = "closed", str(workdir / "artifacts" / "closed")

        def is_file(self, *, follow_symlinks: bool) -> bool:
            raise PermissionError(EACCES, "Permission denied")

    @contextmanager
    def listed(_: Path) -> Iterator[list[Closed]]:
        yield [Closed()]

    monkeypatch.setattr("orchestrator.system.taken.os.scandir", listed)
    found = taken(workdir / "artifacts", workdir)
    assert found.problems("artifacts") == ["artifacts/closed cannot be looked at (Permission denied)"]


def test_a_file_that_grows_while_it_is_read_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grows"
    path.write_bytes(b"first\n")
    look = os.fstat

    def look_and_grow(file: int) -> os.stat_result:
        found = look(file)
        os.truncate(path, 1 << 40)
        return found

    def opened_to_grow(path: Path) -> IO[bytes]:
        file = opened(path)
        monkeypatch.setattr("os.fstat", look_and_grow)
        return file

    monkeypatch.setattr(regular, "opened", opened_to_grow)
    assert regular.content(path) == b"first\n"


@pytest.mark.slow
def test_a_journal_that_a_trial_has_made_huge_is_a_failure_of_that_trial(
    store: str, write: Write, sweep: Sweep
) -> None:
    write(
        "import os\n\nfrom toys import Config\n\n\n"
        "def train(config: Config, workdir):\n"
        "    yield {'epoch': 1, 'score': config.x}\n"
        "    if config.x == 2:\n"
        "        os.truncate(workdir / 'journal.jsonl', 1 << 40)\n"
        "        raise RuntimeError('it broke')\n",
        "mine.py",
    )
    path = write("trial: mine:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}")
    first = sweep("launch", path, "--workers", "1")
    assert first.returncode == 1, first.stderr
    assert outcomes(store, "toy") == {"x=1": "completed", "x=2": "failed"}
    again = sweep("launch", path, "--workers", "1")
    assert again.returncode == 1
    assert re.search(
        r"x=2: failed.*: its journal .* has more than 512 MiB, and is not read", again.stderr + again.stdout
    )
    assert outcomes(store, "toy") == {"x=1": "completed", "x=2": "failed"}


@pytest.mark.slow
def test_a_folder_of_any_depth_goes_with_its_trial(tmp_path: Path) -> None:
    build = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True)
    (tmp_path / "pipe").symlink_to("d")
    regular.remove(tmp_path / "pipe")
    regular.remove(tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_picture_that_mlflow_cannot_write_costs_nothing_else(tracker: Tracker, workdir: Path) -> None:
    folder = workdir / "images" / "seen"
    folder.mkdir(parents=True)
    for step, mode in enumerate(("RGB", "CMYK", "F", "I", "LAB")):
        Image.new(mode, (8, 8)).save(folder / f"{step}.png", format="TIFF")
    Image.new("RGB", (1, 5000)).save(folder / "5.png")
    Image.new("RGB", (5000, 1)).save(workdir / "artifacts" / "wide.png")
    tracker.write(TRIAL, [Progress(2, {"score": 1.0}, 1.0), END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert run.data.tags["outcome"] == "completed"
    assert {name.split("+")[2] for name in artifacts(tracker.uri, run, "images")} == {"0", "1", "2", "3", "4"}
    said = run.data.tags["artifacts.problem"]
    assert "images/seen/5.png cannot be logged" in said
    assert "artifacts/wide.png cannot be logged" in said
    assert "wide.png" in artifacts(tracker.uri, run)


def test_each_picture_that_is_none_is_said(tracker: Tracker, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 5000)
    folder = workdir / "images" / "seen"
    folder.mkdir(parents=True)
    noise = Image.frombytes("RGB", (40, 40), os.urandom(4800))
    for step in (0, 1):
        noise.save(folder / f"{step}.png")
    os.truncate(folder / "1.png", 2000)
    (folder / "2.png").touch()
    Image.new("L", (200, 200)).save(folder / "4.png")
    (folder / "5.png").write_text("text")
    noise.save(folder / "3.jpg")
    noise.save(workdir / "images" / "x.png")
    tracker.write(TRIAL, [Progress(2, {"score": 1.0}, 1.0)], workdir)
    noise.save(folder / "5.png")  # is whole by now
    tracker.write(TRIAL, [END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert {name.split("+")[2] for name in artifacts(tracker.uri, run, "images")} == {"0", "5"}
    said = run.data.tags["artifacts.problem"]
    assert "images/seen/1.png is no picture that can be read (" in said
    assert "images/seen/2.png is no picture;" in said
    assert "images/seen/4.png is no picture that can be read (Image size (40000 pixels) exceeds limit" in said
    assert "images/seen/3.jpg is not called NAME/EPOCH.png" in said
    assert "images/x.png is not called NAME/EPOCH.png" in said
    assert "seen/0.png" not in said
    assert "seen/5.png" not in said


def test_a_picture_for_which_there_is_no_memory_costs_nothing_else(
    tracker: Tracker, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workdir / "images" / "seen"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "1.png")

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(tracker.client, "log_image", fails)
    tracker.write(TRIAL, [Progress(1, {"score": 1.0}, 1.0), END], workdir)
    said = children(tracker.uri, "toy")[0].data.tags["artifacts.problem"]
    assert "images/seen/1.png cannot be logged (MemoryError)" in said


def test_what_a_program_could_not_keep_is_said_beside_what_its_folder_has(tracker: Tracker, workdir: Path) -> None:
    pipe(workdir / "artifacts" / "pipe")
    tracker.write(TRIAL, [Tagged({"artifacts.problem": "not all could be kept: big (no room)"})], workdir)
    tracker.write(TRIAL, [END], workdir)
    said = children(tracker.uri, "toy")[0].data.tags["artifacts.problem"]
    assert "big (no room)" in said
    assert "artifacts/pipe is a named pipe" in said


@pytest.mark.parametrize("changes", [True, False])
def test_a_file_that_changes_while_it_is_read_is_no_failure_of_the_store(
    tracker: Tracker, workdir: Path, monkeypatch: pytest.MonkeyPatch, *, changes: bool
) -> None:
    log = tracker.client.log_artifact
    file = workdir / "artifacts" / "shrinks"
    file.write_bytes(b"x" * 1000)

    def cut(run_id: str, path: str, place: str | None = None) -> None:
        if Path(path) not in (file, file.parent):
            log(run_id, path, place)
            return
        if changes:
            os.truncate(file, file.stat().st_size // 2)
        raise ConnectionCutError("the other end has waited for more")

    monkeypatch.setattr(tracker.client, "log_artifacts", cut)
    monkeypatch.setattr(tracker.client, "log_artifact", cut)
    if not changes:
        with pytest.raises(StoreBusyError):
            tracker.write(TRIAL, [END], workdir)
        return
    tracker.write(TRIAL, [END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert artifacts(tracker.uri, run) == {"good.txt"}
    assert "artifacts/shrinks has changed while it was read" in run.data.tags["artifacts.problem"]


def answered(status: int) -> HTTPError:
    response = Response()
    response.status_code = status
    return HTTPError(f"{status} Server Error", response=response)


@pytest.mark.parametrize("takes_others", [True, False])
def test_a_file_at_which_a_server_fails_for_long_is_left_out_where_it_takes_another(
    tracker: Tracker, workdir: Path, monkeypatch: pytest.MonkeyPatch, *, takes_others: bool
) -> None:
    (workdir / "artifacts" / "bad").write_text("bad")
    log, log_text, now = tracker.client.log_artifact, tracker.client.log_text, [1000.0]
    monkeypatch.setattr("orchestrator.trackers.faults.time.monotonic", lambda: now[0])

    def failing(run_id: str, path: str, place: str | None = None) -> None:
        if Path(path).name in ("bad", "artifacts") or not takes_others:
            raise answered(500)
        log(run_id, path, place)

    def noted(run_id: str, text: str, name: str) -> None:
        if not takes_others:
            raise answered(503)
        log_text(run_id, text, name)

    monkeypatch.setattr(tracker.client, "log_artifacts", failing)
    monkeypatch.setattr(tracker.client, "log_artifact", failing)
    monkeypatch.setattr(tracker.client, "log_text", noted)
    for seconds in (0.0, faults.SECONDS - 1):  # the server may be in trouble
        now[0] = 1000.0 + seconds
        with pytest.raises(StoreBusyError):
            tracker.write(TRIAL, [END], workdir)
        tracker.recover(TRIAL)
    now[0] += 2
    if not takes_others:
        with pytest.raises(StoreBusyError):
            tracker.write(TRIAL, [END], workdir)
        return
    tracker.write(TRIAL, [END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert run.data.tags["outcome"] == "completed"
    assert "artifacts/bad: 500 Server Error" in run.data.tags["artifacts.problem"]
    assert artifacts(tracker.uri, run) == {"good.txt", "artifacts.problem.txt"}


def test_a_file_that_a_server_takes_once_its_trouble_is_over_is_not_left_out(
    tracker: Tracker, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workdir / "artifacts" / "model").write_text("model")
    log, log_text, now, is_back = tracker.client.log_artifact, tracker.client.log_text, [1000.0], [False]
    monkeypatch.setattr("orchestrator.trackers.faults.time.monotonic", lambda: now[0])

    def away(run_id: str, path: str, place: str | None = None) -> None:
        if not is_back[0]:
            raise answered(503)
        log(run_id, path, place)

    def back(run_id: str, text: str, name: str) -> None:
        is_back[0] = True
        log_text(run_id, text, name)

    monkeypatch.setattr(tracker.client, "log_artifacts", away)
    monkeypatch.setattr(tracker.client, "log_artifact", away)
    monkeypatch.setattr(tracker.client, "log_text", back)
    with pytest.raises(StoreBusyError):
        tracker.write(TRIAL, [END], workdir)
    tracker.recover(TRIAL)
    now[0] += faults.SECONDS + 1
    tracker.write(TRIAL, [END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert "artifacts.problem" not in run.data.tags
    assert artifacts(tracker.uri, run) == {"good.txt", "model"}


@pytest.mark.slow
def test_a_file_in_whose_way_another_is_on_a_server_does_not_hold_the_sweep(
    folder: Path, store: str, write: Write, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "SECONDS", 1.0)
    (workdir / "log.txt").write_text("printed")
    (workdir / "artifacts" / "log.txt").mkdir()
    (workdir / "artifacts" / "log.txt" / "x").write_text("in the way")
    (workdir / "artifacts" / "zip.txt").write_text("good")
    with running_server(folder, store) as url:
        tracker = Tracker(url, load(write("trial: toys:train\nname: served")))
        tracker.open(1)
        with pytest.raises(StoreBusyError):
            tracker.write(TRIAL, [END], workdir)
        for _ in range(3):  # where the machine is busy, so is the server
            with suppress(StoreBusyError):
                tracker.write(TRIAL, [END], workdir)
                break
        tracker.close("FINISHED")
        (run,) = children(url, "served")
        assert artifacts(url, run) == {"good.txt", "zip.txt", "log.txt", "artifacts.problem.txt"}
    assert "artifacts/log.txt/x: 500 Server Error" in run.data.tags["artifacts.problem"]


@pytest.mark.slow
def test_a_call_that_sleeps_is_given_up_and_one_that_moves_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalling, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(stalling, "SECONDS_BETWEEN_LOOKS", 0.15)
    never = threading.Event()
    with pytest.raises(StalledError, match="no progress"):
        attended(lambda: never.wait(60))
    never.set()

    def slow() -> str:
        for _ in range(8):
            time.sleep(0.06)
        return "done"

    assert attended(slow) == "done"
    with ThreadPoolExecutor(1) as pool:  # as stores in a cloud are written to
        assert attended(lambda: pool.submit(slow).result()) == "done"
    with pytest.raises(ZeroDivisionError):
        attended(lambda: 1 / 0)


@pytest.mark.slow
def test_a_file_system_that_does_not_answer_costs_a_trial_its_files_alone(
    tracker: Tracker, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalling, "STALLED_SECONDS", 0.3)
    with silent(workdir / "artifacts" / "remote"):
        tracker.write(TRIAL, [Progress(1, {"score": 1.0}, 1.0), END], workdir)
    (run,) = children(tracker.uri, "toy")
    assert run.data.tags["outcome"] == "completed"
    assert run.info.status == "FINISHED"
    assert "not all files of the trial could be read: no progress" in run.data.tags["artifacts.problem"]


def test_a_folder_that_cannot_be_removed_since_its_file_system_is_silent_ends_the_launch_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalling, "STALLED_SECONDS", 0.1)
    monkeypatch.setattr(stalling, "SECONDS_BETWEEN_LOOKS", 0.05)
    answers = threading.Event()
    monkeypatch.setattr("orchestrator.system.regular.remove", lambda _: answers.wait(60))
    workspace = Workspace(f"sqlite:///{folder / 'mlflow.db'}", "toy")
    with pytest.raises(StalledError, match="a folder could not be removed: no progress was made for") as error:
        workspace.clear([TRIAL])
    answers.set()
    assert error.value.filename == str(workspace.folder)


@pytest.mark.parametrize("kind", [*ODD, "a folder", "a link", "unreadable"])
def test_a_journal_that_is_none_is_empty_and_makes_place_for_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / journal.JOURNAL_FILE
    match kind:
        case "a folder":
            path.mkdir()
        case "a link":
            path.symlink_to("/etc/passwd")
        case "unreadable" if os.geteuid() == 0:
            pytest.skip("root reads every file")
        case "unreadable":
            path.write_text("x")
            path.chmod(0)
        case _:
            ODD[kind](path)
    assert journal.read(tmp_path) == []
    journal.repair(tmp_path)
    journal.write(tmp_path, Progress(1, {"loss": 1.0}, 1.0), MonitorState(1, 0, None, {}))
    assert len(journal.read(tmp_path)) == 1
    assert path.is_file()
    assert not path.is_symlink()


def test_the_artifacts_of_a_program_follow_the_same_rule(tmp_path: Path, workdir: Path) -> None:
    source, files = tmp_path / "elsewhere", LoggedFiles(workdir)
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "model.pt").write_text("model")
    (source / "latest").symlink_to("deep")
    (source / "secret").symlink_to("/etc/passwd")
    pipe(source / "pipe")
    (tmp_path / "named").symlink_to("secret")
    (workdir / "mlflow").mkdir()
    (workdir / "mlflow" / "passwd").symlink_to("/etc/passwd")
    kept = workdir / "artifacts"
    pipe(kept / "model.pt")  # in the place of one that comes
    said = files.keep(ArtifactLogged("wandb", str(source), "all"), 1)
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == {
        "good.txt",
        "all/deep/model.pt",
        "all/latest/model.pt",
    }
    assert "pipe is a named pipe" in str(said)
    assert "secret links to /etc/passwd, outside" in str(said)
    assert files.keep(ArtifactLogged("wandb", str(tmp_path / "named"), "named"), 1) is None  # by a call that names it
    assert files.keep(ArtifactLogged("wandb", str(source / "deep" / "model.pt"), "model.pt"), 1) is None
    assert (kept / "model.pt").read_text() == "model"
    for path, reason in {
        source / "pipe": "is a named pipe",
        Path("/dev/zero"): "is a device",
        workdir / "mlflow" / "passwd": "links to /etc/passwd, outside",
    }.items():
        assert reason in str(files.keep(ArtifactLogged("mlflow", str(path), path.name), 1))


def test_a_store_of_a_program_is_read_as_far_as_it_is_made_of_files(tmp_path: Path) -> None:
    run = tmp_path / "0" / "run"
    for folder in ("params", "metrics", "tags"):
        (run / folder).mkdir(parents=True)
        pipe(run / folder / "pipe")
        (run / folder / "passwd").symlink_to("/etc/passwd")
        (run / folder / "everything").symlink_to("/")
        (run / folder / "zero").symlink_to("/dev/zero")
    (run / "params" / "lr").write_text("0.1")
    (run / "metrics" / "loss").write_text("1700000000000 0.5 1\n")
    noted, logged = MlflowStore(tmp_path).end()
    assert noted.tags == {"lr": "0.1"}
    assert logged.metrics == {"loss": 0.5}


def test_a_sweep_file_that_is_none_is_refused_at_once(
    write: Write, sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.spec.source.SECONDS_OF_SILENCE", 0.1)  # of a pipe that nobody writes
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "folder.yaml").mkdir()
    for number, make in enumerate(ODD.values()):
        make(folder / f"{number}.yaml")
    write("trial: toys:train", "good.yaml")
    refused = sweep("plan", *sorted(folder.glob("*.yaml")))
    assert refused.returncode == 2
    files = {line.split(": ")[1] for line in refused.stderr.splitlines()}
    assert files == {str(path) for path in folder.glob("*.yaml") if path.name != "good.yaml"}
    for name in ("0.yaml", "loop.yaml"):
        alone = sweep("launch", folder / name)
        assert alone.returncode == 2
        assert alone.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_sweep_that_comes_through_a_pipe_is_read_to_its_end(folder: Path, sweep: Sweep) -> None:
    text = b"trial: toys:train\nparameters: {x: {values: [0.1, 0.2]}}\n"

    def planned(*parts: bytes) -> subprocess.CompletedProcess[str]:
        reading, writing = os.pipe()

        def send() -> None:
            for part in parts:
                with suppress(BrokenPipeError):
                    os.write(writing, part)
                time.sleep(0.05)
            os.close(writing)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            return sweep("plan", f"/dev/fd/{reading}")
        finally:
            os.close(reading)
            sender.join()

    assert "to run: 2 of 2" in planned(b"name: mine\n", text[:30], text[30:]).stdout
    assert "stdin:1: name: is missing; what comes through a pipe" in planned(text).stderr
    assert "is larger than 100,000 bytes" in planned(*[b"#" * 30_000] * 5).stderr
    assert "stdin: the file is empty" in planned().stderr


def test_a_name_that_is_longer_than_any_files_is_no_file(store: str, sweep: Sweep) -> None:
    refused = sweep("status", "n" * 300)
    assert refused.returncode == 2
    assert "the store has no sweep" in refused.stderr


@pytest.mark.slow
def test_on_a_server_no_file_costs_another(folder: Path, store: str, write: Write, workdir: Path) -> None:
    folders = [workdir / "artifacts" / name for name in ("a", "m", "z")]
    for place in folders:
        place.mkdir()
        (place / "good.txt").write_text("good")
    for number, odd in enumerate([*ODD.values(), lambda path: path.symlink_to("nothing")]):
        odd(folders[1] / f"{number}")
    (folders[1] / "loop").symlink_to(".")
    (folders[1] / "other").symlink_to("../z")
    with running_server(folder, store) as uri:
        tracker = Tracker(uri, load(write("trial: toys:train")))
        tracker.open(1)
        tracker.write(TRIAL, [END], workdir)
        (run,) = children(uri, "toy")
        found = {place.name: artifacts(uri, run, place.name) for place in folders}
    assert found == {
        "a": {"a/good.txt"},
        "m": {"m/good.txt", "m/other"},
        "z": {"z/good.txt"},
    }
    assert run.data.tags["artifacts.problem"].count("artifacts/m/") == len(ODD) + 2


HOSTILE = """
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    what: str
    epochs: int = 2
    seed: int = 0


def train(config: Config, workdir: Path):
    yield {"epoch": 1, "loss": 1.0}
    artifacts = workdir / "artifacts"
    artifacts.mkdir(exist_ok=True)
    (artifacts / "good.txt").write_text("good")
    match config.what:
        case "unreadable":
            (artifacts / "secret").write_text("secret")
            (artifacts / "secret").chmod(0)
        case "unlisted":
            (artifacts / "folder").mkdir(0)
        case "names":
            for folder in (workdir / "kept", artifacts / "names"):
                folder.mkdir()
                (folder / "inside").write_text("seen by its name alone")
                folder.chmod(0o444)
        case "pipe":
            os.mkfifo(artifacts / "pipe")
        case "log":
            (workdir / "log.txt").unlink()
            os.mkfifo(workdir / "log.txt")
        case "journal":
            (workdir / "journal.jsonl").chmod(0)
        case "gone":
            shutil.rmtree(workdir)
        case "closed":
            workdir.chmod(0)
        case "replaced":
            shutil.rmtree(workdir)
            os.mkfifo(workdir)
            os._exit(1)
    yield {"epoch": 2, "loss": 0.5}
    return {"score": 1.0}
"""
SPOILT = ["journal", "gone", "closed", "replaced"]  # what a trial has made of its own folder, so that it cannot go on


@pytest.mark.slow
def test_whatever_trials_make_of_their_files_the_sweep_goes_on(folder: Path, store: str) -> None:
    whats = ["unreadable", "unlisted", "names", "pipe", "log", *SPOILT, "fine"]
    (folder / "hostile.py").write_text(HOSTILE)
    path = folder / "hostile.yaml"
    path.write_text(f"trial: hostile:train\nretries: 1\nparameters: {{what: {{values: {whats}}}}}")
    launch = [*UNPRIVILEGED, sys.executable, "-m", "orchestrator", "launch", str(path), "--quiet"]
    for _ in range(2):  # what is left of them does not stop the next launch either
        done = subprocess.run(launch, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert "sweep:" not in done.stderr, done.stderr
        ended = {label.removeprefix("what="): outcome for label, outcome in outcomes(store, "hostile").items()}
        assert ended == {what: "failed" if what in SPOILT else "completed" for what in whats}
    for path in (folder / "mlruns" / "work" / "hostile").iterdir():
        with suppress(OSError):
            path.chmod(0o700)
    by_name = {str(run.info.run_name).removeprefix("what="): run for run in children(store, "hostile")}
    problems = {what: run.data.tags.get("artifacts.problem", "") for what, run in by_name.items()}
    assert "artifacts/secret cannot be read (Permission denied)" in problems["unreadable"]
    assert "artifacts/folder cannot be listed (Permission denied)" in problems["unlisted"]
    assert "artifacts/names/inside cannot be read (Permission denied)" in problems["names"]
    assert by_name["names"].data.tags["not_kept"] == "kept/inside (of unknown size)"
    assert "artifacts/pipe is a named pipe" in problems["pipe"]
    assert "log.txt is a named pipe" in problems["log"]
    assert problems["fine"] == ""
    for what in ("unreadable", "unlisted", "pipe", "fine"):
        assert "good.txt" in artifacts(store, by_name[what])
