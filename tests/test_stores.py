"""The store that a launch is given: its URI, whether it answers, and what lies in its trash."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.system.paths import sqlite_path, tracking_uri

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {epochs: 1, x: {values: [1, 2]}}\n"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///a b.db", "a b.db"),
        ("sqlite:///a%20b.db", "a b.db"),
        ("sqlite:///a%2520b.db", "a%20b.db"),
        ("sqlite:///50%25/x.db", "50%/x.db"),
        ("sqlite:///what%3F.db", "what?.db"),
        ("sqlite:///ä ö/学.db", "ä ö/学.db"),
        ("SQLite:///x.db", "x.db"),
        ("sqlite+pysqlite:///x.db", "x.db"),
        ("sqlite:///x.db?timeout=60", "x.db"),
        (" sqlite:///x.db\n", "x.db"),
    ],
)
def test_a_sqlite_uri_is_read_as_mlflow_reads_it(uri: str, path: str, folder: Path) -> None:
    from sqlalchemy.engine import make_url

    read = tracking_uri(uri)
    assert sqlite_path(read) == folder / path
    assert tracking_uri(read) == read
    assert make_url(read).database == str(folder / path)
    assert read.endswith("?timeout=60") == uri.endswith("?timeout=60")


IN_MEMORY = "is in memory, and keeps nothing"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite://", IN_MEMORY),
        ("sqlite:///", IN_MEMORY),
        ("SQLITE:///:memory:", IN_MEMORY),
        ("sqlite:///x.db?mode=memory&uri=true", IN_MEMORY),
        ("sqlite:///file:x?uri=true&vfs=memdb", IN_MEMORY),
        ("sqlite:///file:x.db?uri=true", "names no file: write sqlite:///PATH"),
        ("sqlite://x.db", "names no file: write sqlite:///PATH"),
        ("sqlite:/x.db", "names no file: write sqlite:///PATH"),
        ("sqlite:x.db", "names no file: write sqlite:///PATH"),
        ("sqlite:///~/x.db", f"write sqlite:///{Path.home()}/x.db"),
        ("mlruns/x.db", "is a path, and no URI: write sqlite:////"),
    ],
)
def test_a_uri_that_names_no_file_is_refused_before_anything_is_made(
    uri: str, message: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        tracking_uri(uri)
    path = write(TOY)
    before = sorted(folder.iterdir())
    done = sweep("launch", path, "--tracking-uri", uri)
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("uri", ["sqlite:///a%20b/100%25.db?timeout=9", "SQLite:///学习 率/x.db"])
def test_a_store_of_any_name_is_written_and_read(uri: str, write: Write, sweep: Sweep, folder: Path) -> None:
    path = write(TOY)
    done = sweep("launch", path, "--executor", "inline", "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    file = sqlite_path(tracking_uri(uri))
    assert file is not None
    assert file.is_file()
    assert sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "._") == [
        file.parent.name
    ]
    assert "x=1" in sweep("status", "toy", "--tracking-uri", uri).stdout
    assert "best of 2" in sweep("best", path, "--tracking-uri", uri).stdout
