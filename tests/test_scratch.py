"""What is written for a moment, or to a cache, does not stay behind when its process is killed."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from models import data
from orchestrator.system.scratch import scratch

HOLDS = """
from orchestrator.system.scratch import scratch
with scratch() as folder:
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_scratch_folder_goes_with_its_block() -> None:
    with scratch() as folder:
        (folder / "model").mkdir()
    assert not folder.exists()
    assert [*folder.parent.iterdir()] == []


def test_what_a_killed_process_left_goes_and_what_a_live_one_uses_stays() -> None:
    killed, live = (
        subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    folders = [Path(process.stdout.readline().strip()) for process in (killed, live) if process.stdout]
    for folder in folders:
        (folder / "file").write_text("content")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with scratch():
        assert [folder.exists() for folder in folders] == [False, True]
    live.communicate("\n")
    assert [*folders[1].parent.iterdir()] == []


def test_the_cache_of_datasets_loses_what_was_cut_off_and_what_is_long_unused(temporary: Path) -> None:
    names = "a.pt", "b.pt", "c.pt.1.unfinished", "d.pt.2.unfinished"
    old, used, cut_off, written = (temporary / name for name in names)
    for path in (old, used, cut_off):
        path.write_text("")
    os.utime(old, (0, time.time() - 31 * 86_400))
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        data._write_cache(temporary / "e.pt", {"train": torch.zeros(1)})
    assert {path.name for path in temporary.iterdir()} == {used.name, written.name, "e.pt"}
