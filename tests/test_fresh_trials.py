"""A trial begins from the same state whatever ran before it, and nothing of it outlives it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import driving
import pytest
from driving import attempts, drive, epochs, final
from processes import all_gone
from reading import children

from orchestrator.events import Event, Progress
from orchestrator.executors.process import ProcessExecutor
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Shares
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import forking, journal

Open = Callable[..., ProcessExecutor]
Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

# What a trial can change of its process; `look` has a number for each.
LEAVING = """
import builtins, decimal, gc, json, locale, logging, math, os, random, resource, shutil, signal, sys, tempfile, warnings
from toys import Config

KEPT = []                          # as a model at module level is
random.seed(7)

def train(config: Config):
    yield {"epoch": 1, "train_loss": 1.0, **look()}
    if config.mode == "text":
        change()
    yield {"epoch": 2, "train_loss": 1.0}

def look():
    return {
        "cwd": os.path.exists("toys.py"),
        "environment": len(os.environ.get("CHANGED", "")),
        "random": random.random(),
        "path": len(sys.path),
        "modules": len(sys.modules),
        "handlers": len(logging.getLogger().handlers),
        "filters": len(warnings.filters),
        "kept": len(KEPT),
        "patched": math.sqrt(4),
        "alarm": float(signal.getsignal(signal.SIGALRM) != signal.SIG_DFL),
        "umask": os.umask(os.umask(0o22)) and 0.0,
        "files": len(os.listdir("/proc/self/fd")),
        "limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "precision": decimal.getcontext().prec,
        "recursion": sys.getrecursionlimit(),
        "gc": gc.isenabled(),
        "builtin": hasattr(builtins, "changed"),
        "nice": os.nice(0),
    }

def change():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    shutil.rmtree(folder)
    os.environ["CHANGED"] = "yes"
    sys.path.insert(0, "/nowhere")
    sys.modules["never"] = sys
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
    KEPT.append(1)
    math.sqrt = lambda x: 5.0
    signal.signal(signal.SIGALRM, lambda *_: None)
    os.umask(0)
    builtins.changed = open("/dev/null")
    decimal.getcontext().prec = 3
    sys.setrecursionlimit(5000)
    gc.disable()
    os.nice(1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""


@pytest.fixture
def processes(folder: Path, interrupt: Interrupt) -> Iterator[Open]:
    """Make an executor of one worker, and enter its context until the test ends."""
    with ExitStack() as opened:

        def open_(function: str, threads: int = 1, **more: Any) -> ProcessExecutor:
            limits = {key: more.pop(key) for key in ("retries", "trial_timeout") if key in more}
            made = driving.setup(function, interrupt, limits=limits, **more)
            return opened.enter_context(ProcessExecutor(made, Shares(1, threads, ())))

        yield open_


def trials(function: str, *modes: str) -> list[Trial]:
    return [Trial(function, 1, {"mode": mode, "seed": i}, f"{i}-{mode}") for i, mode in enumerate(modes)]


def seen(events: list[Event]) -> dict[str, float]:
    """What a trial has reported of its first epoch."""
    return dict(next(event.metrics for event in events if isinstance(event, Progress)))


@pytest.mark.slow
def test_a_trial_finds_nothing_of_what_the_one_before_it_has_changed(processes: Open, folder: Path) -> None:
    (folder / "leaving.py").write_text(LEAVING)
    heard = drive(processes("leaving:train"), trials("leaving:train", "fine", "text", "fine"), folder)
    first, changing, last = [seen(events) for events in heard.values()]
    assert first == changing == last
    assert first["precision"] == 28
    warm = drive(processes("leaving:train", warm=True), trials("leaving:train", "text", "fine"), folder / "warm")
    _, after = [seen(events) for events in warm.values()]
    assert {name for name, value in after.items() if value != first[name]} >= {
        "cwd", "environment", "random", "path", "modules", "handlers", "filters", "kept", "patched", "alarm", "files",
        "limit", "precision", "recursion", "gc", "builtin", "nice",
    }  # fmt: skip


@pytest.mark.slow
def test_what_no_import_has_seeded_draws_other_numbers_in_each_trial(processes: Open, folder: Path) -> None:
    (folder / "drawing.py").write_text(
        "import random\nimport numpy as np\nfrom toys import Config\n"
        "def train(config: Config):\n    return {'python': random.random(), 'numpy': np.random.rand()}\n"
    )
    ends = [
        final(events)
        for events in drive(processes("drawing:train"), trials("drawing:train", "fine", "nan"), folder).values()
    ]
    for name in ("python", "numpy"):
        assert ends[0].metrics[name] != ends[1].metrics[name]
    text = (folder / "drawing.py").read_text().replace("def train", "random.seed(1)\nnp.random.seed(1)\ndef train")
    (folder / "seeding.py").write_text(text)
    ends = [
        final(events)
        for events in drive(processes("seeding:train"), trials("seeding:train", "fine", "nan"), folder).values()
    ]
    assert ends[0].metrics == ends[1].metrics
    assert round(ends[0].metrics["python"], 6) == 0.134364  # of random.seed(1)


@pytest.mark.slow
def test_a_function_whose_imports_start_a_thread_has_a_new_process_for_each_trial_and_says_so_once(
    processes: Open, folder: Path
) -> None:
    (folder / "leaving.py").write_text(
        f"{LEAVING}\nimport threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), name='prefetch', daemon=True).start()\n"
    )
    said: list[str] = []
    executor = processes("leaving:train", on_remark=said.append)
    executor.prepare([{}])
    heard = drive(executor, trials("leaving:train", "fine", "text", "fine"), folder)
    assert said == ["each trial imports leaving:train anew, since importing it starts a thread (prefetch)"]
    first, _, last = [seen(events) for events in heard.values()]
    assert first == last
    assert len({event.pid for events in heard.values() for event in attempts(events)}) == 3
    assert len({name for name in first if first[name] != last[name]}) == 0


def test_a_process_that_uses_the_driver_of_cuda_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = SimpleNamespace(cuDeviceGetCount=lambda _: 3)  # CUDA_ERROR_NOT_INITIALIZED
    monkeypatch.setattr(forking, "_loaded", lambda names: [driver] if names == (forking.CUDA_DRIVER,) else [])
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.main_thread()])
    assert not forking._has_gpu()
    driver.cuDeviceGetCount = lambda _: 0
    assert forking.Imports().obstacle == "importing it begins to use the GPU"


TORCH = """
import torch
from toys import Config

torch.exp(torch.randn(1_000_000)).sum()  # a region of OpenMP, while this is imported
MODEL = torch.nn.Linear(4, 1)

def train(config: Config):
    before = [parameter.detach().clone() for parameter in MODEL.parameters()]
    yield {"epoch": 1, "train_loss": 1.0, "bits": torch.finfo(torch.get_default_dtype()).bits,
           "moved": MODEL.weight.abs().sum().item(), "strict": torch.are_deterministic_algorithms_enabled()}
    torch.exp(torch.randn(1_000_000)).sum()
    if config.mode == "text":
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        with torch.no_grad():
            MODEL.weight.add_(1.0)
    if config.mode == "nan":
        loader = torch.utils.data.DataLoader(range(8), num_workers=2, collate_fn=lambda items: sum(items))
        yield {"epoch": 2, "train_loss": 1.0, "loaded": sum(loader)}
"""


@pytest.mark.slow
def test_what_torch_keeps_of_a_trial_is_not_there_for_the_next(processes: Open, folder: Path) -> None:
    (folder / "torched.py").write_text(TORCH)
    said: list[str] = []
    executor = processes("torched:train", threads=2, on_remark=said.append)
    executor.prepare([{}])
    heard = drive(executor, trials("torched:train", "fine", "text", "fine", "nan"), folder)
    first, _, last, loading = [seen(events) for events in heard.values()]
    assert said == []
    assert first == last == loading
    assert (first["bits"], first["strict"]) == (32, 0)
    assert final(heard["3-nan"]).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_a_run_of_mlflow_that_a_trial_leaves_open_harms_no_other(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "leaving.py").write_text(
        "import mlflow\nfrom toys import Config\n"
        "def train(config: Config):\n    mlflow.set_tracking_uri('sqlite:///own.db')\n    mlflow.start_run()\n"
        "    mlflow.log_param('x', config.x)\n    yield {'epoch': 1, 'val_loss': config.x}\n"
    )
    done = sweep("launch", write("trial: leaving:train\nparameters: {x: {values: [1, 2, 3]}}"), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert [run.data.tags["outcome"] for run in children(store, "toy")] == ["completed"] * 3


@pytest.mark.slow
def test_the_start_method_of_a_trial_is_the_one_of_its_platform(processes: Open, folder: Path) -> None:
    (folder / "starting.py").write_text(
        "import multiprocessing\nfrom toys import Config\ndef train(config: Config):\n"
        "    with multiprocessing.Pool(1) as pool:\n        return {'is_fork': multiprocessing.get_start_method() == "
        f"'{__import__('multiprocessing').get_start_method()}', 'sum': pool.apply(sum, ([1, 2],))}}\n"
    )
    for warm in (False, True):
        ended = drive(
            processes("starting:train", warm=warm), trials("starting:train", f"{'fine' if warm else 'nan'}"), folder
        )
        assert [final(events).metrics for events in ended.values()] == [{"is_fork": 1.0, "sum": 3.0}]


# What a trial starts


FORKING = """
import os, subprocess, sys, time
from pathlib import Path
from toys import Config

def train(config: Config, watch, workdir: Path):
    yield {"epoch": 1, "train_loss": 1.0}
    if not os.fork():
        if config.mode == "fine":
            return {"final_score": 2.0}
        if config.mode == "nan":
            watch(1, 7.0, 1.0)
            yield {"epoch": 2, "train_loss": 2.0}
            yield {"epoch": 3, "train_loss": 3.0}
        if config.mode == "raise":
            raise ValueError("in the fork")
        if config.mode == "text":
            sys.exit(5)
    status = os.waitstatus_to_exitcode(os.wait()[1])
    yield {"epoch": 2, "train_loss": 0.5, "status": status}
    return {"final_score": 1.0}

def leaving(config: Config, workdir: Path):
    script = (
        "import os, time; os.fork() and os._exit(0); os.setsid(); "
        "open('daemon', 'w').write(str(os.getpid())); time.sleep(600)"
    )
    subprocess.run(["env", "-i", sys.executable, "-c", script], cwd=workdir)
    while not (workdir / "daemon").exists() or not (workdir / "daemon").read_text():
        time.sleep(0.01)
    yield {"epoch": 1, "train_loss": 1.0}
    if config.mode == "hang":
        time.sleep(600)
    if config.mode == "kill":
        os.kill(os.getpid(), 11)
"""


@pytest.mark.parametrize(
    "mode", ["fine", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("nan", "raise", "text"))]
)
def test_a_fork_that_comes_out_of_the_function_is_not_taken_for_the_trial(
    processes: Open, folder: Path, mode: str
) -> None:
    (folder / "forking.py").write_text(FORKING)
    (forking,) = trials("forking:train", mode)
    (events,) = drive(processes("forking:train"), [forking], folder).values()
    assert epochs(events) == [1, 2]
    assert final(events).metrics == {"final_score": 1.0}
    assert [entry.event for entry in journal.read(folder / forking.trial_key)] == events
    status = {"fine": 0, "nan": 0, "raise": 1, "text": 5}[mode]
    assert [event.metrics.get("status") for event in events if isinstance(event, Progress)] == [None, status]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "warm"), [("fine", False), ("hang", False), ("kill", False), ("hang", True), ("kill", True)]
)
def test_what_a_trial_has_started_ends_with_it_though_it_has_left_its_session(
    processes: Open, folder: Path, mode: str, warm: bool
) -> None:
    (folder / "forking.py").write_text(FORKING)
    executor = processes("forking:leaving", trial_timeout=3.0, warm=warm)
    (leaving,) = trials("forking:leaving", mode)
    (events,) = drive(executor, [leaving], folder).values()
    assert final(events).reason in (
        None,
        "it ran longer than the trial timeout of 3 seconds",
        "its worker was killed by SIGSEGV",
    )
    assert all_gone([int((folder / leaving.trial_key / "daemon").read_text())], within=2.0)


@pytest.mark.slow
@pytest.mark.parametrize("warm", ["false", "true"])
def test_what_a_trial_has_started_ends_with_its_orchestrator(folder: Path, write: Write, store: str, warm: str) -> None:
    (folder / "forking.py").write_text(FORKING)
    path = write(f"trial: forking:leaving\nwarm: {warm}\nparameters: {{mode: hang}}")
    launch = subprocess.Popen([sys.executable, "-m", "orchestrator", "launch", str(path), "--quiet"])
    while not (found := [path for path in folder.glob("mlruns/work/*/*/daemon") if path.read_text()]):
        time.sleep(0.05)
        assert launch.poll() is None
    launch.kill()
    launch.wait()
    assert all_gone([int(found[0].read_text())])


LASTING = """
import atexit, threading, time
from pathlib import Path
from toys import Config

def train(config: Config):
    atexit.register(Path("ended").touch)
    if config.mode == "hang":
        threading.Thread(target=time.sleep, args=(600,)).start()
    return {"final_score": config.x}
"""


def test_what_a_trial_has_registered_for_its_end_is_called(processes: Open, folder: Path) -> None:
    (folder / "lasting.py").write_text(LASTING)
    drive(processes("lasting:train"), trials("lasting:train", "fine"), folder)
    deadline = time.monotonic() + 5
    while not (folder / "ended").exists():
        assert time.monotonic() < deadline


@pytest.mark.slow
def test_a_thread_that_never_ends_holds_up_no_further_trial(processes: Open, folder: Path) -> None:
    (folder / "lasting.py").write_text(LASTING)
    heard = drive(processes("lasting:train"), trials("lasting:train", "hang", "fine"), folder)
    assert [final(events).outcome for events in heard.values()] == [Outcome.COMPLETED] * 2
