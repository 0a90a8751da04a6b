"""What a program's interpreter is given: it tells the worker what the script logs, and otherwise changes nothing."""

import ast
import json
import math
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.programs.channel import Channel
from orchestrator.programs.logged import (
    ArtifactLogged,
    Ended,
    Logged,
    Message,
    Noted,
    PictureLogged,
    StepMetric,
    Summary,
)
from orchestrator.programs.reporting import INJECTED

PARAMETERS = {"lr": 0.25, "net": {"width": 8}}
CONFIG_FILE = "wandb_version: 1\n\nlr:\n  value: 0.25\nnet:\n  value:\n    width: 8\n"  # as W&B's agent writes it
PNG = b"\x89PNG"


@dataclass
class Heard:
    """How a program ended, and what it has told."""

    status: int
    output: str
    errors: str
    messages: list[Message]

    @property
    def losses(self) -> list[float]:
        return [message.metrics["loss"] for message in self.messages if isinstance(message, Logged)]


class Trial:
    """A script in a folder of its own, with a channel that it is told of."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = python
        self.channel = Channel(folder)
        (folder / "params.json").write_text(json.dumps(PARAMETERS))
        (folder / "params.yaml").write_text(CONFIG_FILE)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "PYTHONPATH": str(INJECTED),
            "PYTHONUNBUFFERED": "1",
            "SWEEP_CHANNEL": str(self.channel.path),
            "SWEEP_WORKDIR": str(folder),
            "SWEEP_PARAMS": str(folder / "params.json"),
            "WANDB_SWEEP_PARAM_PATH": str(folder / "params.yaml"),
            "WANDB_SWEEP_ID": "of_ours",
            "WANDB_RUN_ID": "a_run",
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "WANDB_DIR": str(folder),
            "WANDB_DATA_DIR": str(folder),
            "TRACKIO_DIR": str(folder / "trackio"),
        }

    def start(self, script: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        (self.folder / "script.py").write_text(script)
        return subprocess.Popen(
            [self.python, *options, "script.py"],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self, count: int) -> list[Message]:
        """Wait for so many messages, and answer none of them."""
        messages: list[Message] = []
        while len(messages) < count:
            assert select.select(self.channel.filenos(), [], [], 60)[0]
            messages += self.channel.receive()
        return messages

    def run(self, script: str, *options: str, **environment: str) -> Heard:
        process = self.start(script, *options, **environment)
        return self.follow(process)

    def follow(self, process: subprocess.Popen[str]) -> Heard:
        """Release each call of a program until its end."""
        ended, messages = os.pidfd_open(process.pid), []
        while True:
            ready, _, _ = select.select([ended, *self.channel.filenos()], [], [], 100)
            messages += self.channel.receive()
            self.channel.release()
            if ended in ready or not ready:
                break
        os.close(ended)
        output, errors = process.communicate(timeout=10)
        return Heard(process.returncode, output, errors, messages)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with nothing in it."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def trial(tmp_path: Path, bare: Path) -> Iterator[Trial]:
    trial = Trial(tmp_path, bare)
    yield trial
    trial.channel.close()


SCRIPT = """
import wandb

with wandb.init(project="any", config={"lr": 9, "depth": 3, "deep": {"er": [1]}}, tags=["a"]) as run:
    assert (wandb.config.lr, wandb.config["lr"], run.config.get("net")) == (0.25, 0.25, {"width": 8})
    assert (run.sweep_id, run.id, wandb.run is run) == ("of_ours", "a_run", True)
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    wandb.define_metric("val/loss", step_metric="epoch", summary="min")
    for epoch, loss in enumerate([3, 1, 2]):
        wandb.log({"val/loss": loss, "epoch": epoch, "part": {"of": {"it": True}}, "note": "words", "many": [1, 2]})
    run.log({"a": 1}, commit=False)
    run.log({"b": float("nan"), "seen": wandb.Histogram([1, 2, 3]), "table": wandb.Table(columns=["x"], data=[[1]])})
    wandb.log({"c": float("inf")}, step=17)
    run.log({"last": 1}, commit=False)
    run.summary["best"] = 3
    run.summary.update({"of": {"all": 4}})
    wandb.config.update({"late": "x"})
    wandb.config.setdefaults({"late": "y", "default": 1})
    open("model.txt", "w").write("hi")
    wandb.save("model.txt")
    artifact = wandb.Artifact("kept", type="model")
    artifact.add_file("model.txt")
    run.log_artifact(artifact)
    run.log_artifact("model.txt", name="other", type="model")
    wandb.alert(title="t", text="t")
assert wandb.run is None
"""


def assert_heard_from_wandb(heard: Heard) -> None:
    assert heard.status == 0, heard.errors
    of = {kind: [message for message in heard.messages if isinstance(message, kind)] for kind in (Logged, Summary)}
    logged = [(dict(message.metrics), message.step) for message in of[Logged] if isinstance(message, Logged)]
    assert math.isnan(logged[3][0].pop("b"))
    rows = [{"val/loss": loss, "epoch": epoch, "part.of.it": 1.0} for epoch, loss in enumerate([3, 1, 2])]
    assert logged == [*((row, None) for row in rows), ({"a": 1.0}, None), ({"c": math.inf}, 17), ({"last": 1.0}, None)]
    assert of[Summary] == [
        *(Summary("wandb", {"best": 3.0}), Summary("wandb", {"of.all": 4.0})),
        Summary("wandb", {"val/loss.min": 1.0}),
    ]
    steps = [message for message in heard.messages if isinstance(message, StepMetric)]
    assert steps == [StepMetric("wandb", "val/*", "epoch"), StepMetric("wandb", "val/loss", "epoch")]
    noted = [message.tags for message in heard.messages if isinstance(message, Noted)]
    assert noted == [{"depth": "3", "deep.er": "[1]"}, {"late": "x", "default": "1"}]
    kept = [message for message in heard.messages if isinstance(message, ArtifactLogged)]
    assert [message.name for message in kept] == ["model.txt", "kept/model.txt", "other"]
    assert all(Path(message.path).is_absolute() for message in kept)
    assert heard.messages[-1] == Ended("wandb")
    assert heard.messages.count(Ended("wandb")) == 1


def test_what_is_logged_to_the_stand_in_for_wandb_is_heard(trial: Trial) -> None:
    heard = trial.run(SCRIPT)
    assert_heard_from_wandb(heard)
    assert heard.errors == "wandb is not installed here: a stand-in passes on what is logged to the sweep\n"


@pytest.mark.parametrize("how", ["wandb.init(mode='disabled')", "os.environ['WANDB_MODE'] = 'disabled'; wandb.init()"])
def test_a_run_that_is_disabled_is_heard_of_the_stand_in_as_little_as_of_wandb(trial: Trial, how: str) -> None:
    heard = trial.run(f"""
import os
import wandb
{how}
wandb.define_metric("loss", summary="min")
wandb.log({{"loss": 1}})
wandb.run.summary.best = 0.5
wandb.save("model.txt")
print(wandb.run.disabled, wandb.run.summary["loss"], wandb.run.summary.best)
wandb.finish()
""")
    assert (heard.messages, heard.output) == ([], "True 1 0.5\n")


@pytest.mark.parametrize("call", ["sweep({})", "agent('id', function=print)"])
def test_a_script_that_begins_a_sweep_itself_does_not_seem_to_have_run(trial: Trial, call: str) -> None:
    heard = trial.run(f"import wandb; wandb.{call}")
    name = call.partition("(")[0]
    assert heard.status == 1
    assert f"wandb.{name} needs W&B's server: call the function that it would run" in heard.errors


def test_what_the_stand_in_does_not_have_is_harmless(trial: Trial) -> None:
    heard = trial.run("""
import argparse
import wandb

wandb.login(key="none")
run = wandb.init(config=argparse.Namespace(depth=3), settings=wandb.Settings(console="off"))
wandb.config.width = 4
assert wandb.init() is run
assert (wandb.config.depth, dict(**wandb.config)["width"], "lr" in wandb.config) == (3, 4, True)
try:
    wandb.config.missing
except AttributeError:
    wandb.watch(None, log="all")
    wandb.log({"video": wandb.Video("x.mp4"), "curve": wandb.plot.line(1, 2), "loss": 1})
wandb.run.log_code(".")
wandb.run.name = "mine"
wandb.use_artifact("x").download()
for run in wandb.Api().runs("x"):
    raise AssertionError
try:
    wandb.finish()
except wandb.Error:
    raise AssertionError
try:
    wandb.log({"loss": 2})
except wandb.Error as error:
    print(error)
""")
    assert heard.status == 0, heard.errors
    assert heard.losses == [1.0]
    assert heard.output == "You must call wandb.init() before wandb.log()\n"


def test_images_come_as_files_in_the_trials_folder(trial: Trial) -> None:
    trial.python = Path(sys.executable)  # which has numpy and Pillow
    heard = trial.run("""
import numpy, wandb
from PIL import Image
run = wandb.init()
run.log({"epoch": 1, "seen": wandb.Image(numpy.linspace(0, 1, 12).reshape(2, 6), caption="x")})
run.log({"all": [wandb.Image(Image.new("L", (4, 3))), wandb.Image(numpy.full((5, 2, 3), 200))]}, step=3)
run.log({"none": wandb.Image(object()), "loss": 1})
""")
    assert heard.status == 0, heard.errors
    pictures = [message for message in heard.messages if isinstance(message, PictureLogged)]
    assert [(picture.name, picture.step) for picture in pictures] == [("seen", None), ("all/0", 3), ("all/1", 3)]
    with ExitStack() as opened:
        read = [opened.enter_context(Image.open(picture.path)).copy() for picture in pictures]
    assert [(image.size, image.mode) for image in read] == [((6, 2), "L"), ((4, 3), "L"), ((2, 5), "RGB")]
    assert (read[0].getpixel((0, 0)), read[0].getpixel((5, 1)), read[2].getpixel((1, 4))) == (0, 255, (200,) * 3)
    assert all(trial.folder in Path(picture.path).parents for picture in pictures)
    assert len([*trial.folder.glob("pictures/*")]) == 3
    kinds = [type(message) for message in heard.messages]
    assert kinds == [Logged, PictureLogged, PictureLogged, PictureLogged, Logged, Ended]


REPORTING = """
from orchestrator import report
report(epoch=1, loss=2.5)
report({"epoch": 2, "loss": float("nan"), "note": "words", "part": {"a": 1}}, more=True)
report({"loss": 1}, step=3)
report()
"""


@pytest.mark.parametrize("with_package", [False, True])
def test_report_reaches_the_sweep(trial: Trial, with_package: bool) -> None:
    if with_package:
        trial.python = Path(sys.executable)
        trial.environment["PYTHONPATH"] += f":{INJECTED.parents[2]}"
    heard = trial.run(REPORTING + "import orchestrator; print('launch' in orchestrator.__all__)")
    assert (heard.status, heard.output) == (0, f"{with_package}\n"), heard.errors
    logged = [message for message in heard.messages if isinstance(message, Logged)]
    assert {message.source for message in logged} == {"report"}
    assert math.isnan(logged[1].metrics["loss"])
    assert logged[1].metrics.keys() == {"epoch", "loss", "part.a", "more"}
    assert [(dict(message.metrics), message.step) for message in (logged[0], logged[2])] == [
        *(({"epoch": 1.0, "loss": 2.5}, None), ({"loss": 1.0}, 3)),
    ]


def test_report_does_nothing_outside_of_a_sweep(trial: Trial) -> None:
    trial.python = Path(sys.executable)
    heard = trial.run(REPORTING, SWEEP_CHANNEL="", PYTHONPATH=str(INJECTED.parents[2]))
    assert (heard.status, heard.output, heard.errors, heard.messages) == (0, "", "", [])


OF_A_LIBRARY = """
class Run:
    def __init__(self, config): self.config = config
    def log(self, {values}, step=None): print("kept", {values})
    def finish(self): print("done")

def init(project, config=None):
    global run
    run = Run(config)
    return run

def log({values}, step=None): run.log({values}={values}, step=step)
def finish(): run.finish()
"""


@pytest.mark.parametrize(("library", "values"), [("trackio", "metrics"), ("swanlab", "data")])
def test_what_is_logged_to_libraries_with_the_same_calls_is_heard(trial: Trial, library: str, values: str) -> None:
    (trial.folder / f"{library}.py").write_text(OF_A_LIBRARY.format(values=values))
    heard = trial.run(f"""
import {library}
run = {library}.init("any", config={{"mine": 1}})
{library}.log({{"loss": 1}})
run.log({{"loss": 2}}, step=4)
{library}.finish()
""")
    assert (heard.status, heard.errors) == (0, "")
    assert heard.output == "kept {'loss': 1}\nkept {'loss': 2}\ndone\n"
    assert {message.source for message in heard.messages} == {library}
    assert [message.step for message in heard.messages if isinstance(message, Logged)] == [None, 4]
    assert (heard.losses, heard.messages[0]) == ([1.0, 2.0], Noted(library, {"mine": "1"}))  # type: ignore[arg-type]
    assert heard.messages[-1] == Ended(library)  # type: ignore[arg-type]


def test_a_call_that_logs_waits_for_its_release(trial: Trial) -> None:
    process = trial.start("import wandb; wandb.init(); wandb.log({'loss': 1}); print('on')")
    (message,) = trial.hear(1)
    assert isinstance(message, Logged)
    assert select.select([process.stdout], [], [], 0.5)[0] == []
    trial.channel.release()
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    trial.follow(process)


def test_an_interrupt_ends_the_waiting_and_the_script_can_still_save_and_log(trial: Trial) -> None:
    process = trial.start("""
import wandb
wandb.init()
try:
    wandb.log({"loss": 1})
except KeyboardInterrupt:
    print("saved")
    wandb.log({"loss": 2})
    wandb.log({"loss": 3})
""")
    trial.hear(1)
    process.send_signal(signal.SIGINT)
    trial.channel.release()
    heard = trial.follow(process)
    assert (heard.status, heard.output, heard.losses) == (0, "saved\n", [2.0, 3.0])


def test_a_script_goes_on_when_the_channel_has_gone(trial: Trial) -> None:
    process = trial.start("""
import wandb
wandb.init()
for loss in range(5):
    wandb.log({"loss": loss})
print("ended")
""")
    trial.hear(1)
    trial.channel.close()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "ended\n"), errors


def test_a_script_whose_worker_has_died_saves_nothing_any_more(trial: Trial) -> None:
    process = trial.start("""
import wandb
wandb.init()
wandb.log({"loss": 1})
print("saved")
""")
    trial.hear(1)
    for caller in [*trial.channel._callers]:  # as where its process dies: the socket stays
        trial.channel._drop(caller)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 0.5)[0] == []
    process.kill()
    assert process.communicate()[0] == ""


def test_a_script_runs_where_no_channel_ever_was(trial: Trial) -> None:
    heard = trial.run(REPORTING + "print('ended')", SWEEP_CHANNEL=str(trial.folder / "nowhere"))
    assert (heard.status, heard.output, heard.errors, heard.messages) == (0, "ended\n", "", [])


def test_processes_that_a_script_forks_are_heard_too(trial: Trial) -> None:
    heard = trial.run("""
import os, sys, threading, time, wandb
wandb.init()
wandb.log({"loss": 0})
busy = threading.Thread(target=lambda: [wandb.log({"busy": i}) for i in range(200)])
busy.start()
children = []
for child in range(1, 4):
    pid = os.fork()
    if pid == 0:
        wandb.log({"loss": child})
        sys.exit()
    children.append(pid)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
busy.join()
wandb.log({"loss": 9})
""")
    assert heard.status == 0, heard.errors
    losses = [m.metrics["loss"] for m in heard.messages if isinstance(m, Logged) and "loss" in m.metrics]
    assert (sorted(losses), losses[0], losses[-1]) == ([0, 1, 2, 3, 9], 0, 9)
    assert sum("busy" in m.metrics for m in heard.messages if isinstance(m, Logged)) == 200
    assert heard.messages.count(Ended("wandb")) == 1


def test_threads_that_log_at_once_lose_nothing(trial: Trial) -> None:
    heard = trial.run("""
import threading
from orchestrator import report
threads = [threading.Thread(target=lambda n=n: [report(loss=100 * n + i) for i in range(100)]) for n in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
""")
    assert heard.status == 0, heard.errors
    assert sorted(heard.losses) == [*range(400)]


def test_a_handler_of_a_signal_may_log_while_a_call_waits(trial: Trial) -> None:
    process = trial.start("""
import signal
from orchestrator import report
signal.signal(signal.SIGUSR1, lambda *_: report(loss=2))
report(loss=1)
report(loss=3)
""")
    first = trial.hear(1)
    process.send_signal(signal.SIGUSR1)
    second = trial.hear(1)
    trial.channel.release()
    heard = trial.follow(process)
    assert (heard.status, heard.losses) == (0, [3.0]), heard.errors
    assert [message.metrics["loss"] for message in (*first, *second) if isinstance(message, Logged)] == [1.0, 2.0]


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"])
def test_only_the_first_of_several_processes_that_train_together_is_heard(trial: Trial, rank: str) -> None:
    script = "import wandb; wandb.init(); wandb.log({'loss': 1}); from orchestrator import report; report(loss=2)"
    heard = trial.run(script, **{rank: "1"})
    assert (heard.status, heard.errors, heard.messages) == (0, "", [])
    assert trial.run(script, **{rank: "0"}).losses == [1.0, 2.0]
    assert trial.run("from orchestrator import report; report(loss=2)", **{rank: "-1"}).losses == [2.0]


def test_the_environments_own_sitecustomize_runs_too(trial: Trial) -> None:
    theirs = trial.folder / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import sys; sys.path.append('/added/by/theirs'); HELLO = 1\n")
    script = "import sys, sitecustomize; print(sitecustomize.HELLO, '/added/by/theirs' in sys.path)\n" + REPORTING
    heard = trial.run(script, PYTHONPATH=f"{INJECTED}:{theirs}")
    assert (heard.status, heard.output) == (0, "1 True\n"), heard.errors
    assert len(heard.messages) == 3


def test_a_mistake_in_the_environments_own_sitecustomize_is_said_as_without_ours(trial: Trial) -> None:
    (trial.folder / "theirs").mkdir()
    (trial.folder / "theirs" / "sitecustomize.py").write_text("raise ValueError('of theirs')\n")
    theirs = str(trial.folder / "theirs")
    alone = trial.run("print('ran')", PYTHONPATH=theirs)
    heard = trial.run("print('ran')\n" + REPORTING, PYTHONPATH=f"{INJECTED}:{theirs}")
    assert "ValueError: of theirs" in alone.errors
    assert (heard.status, heard.output, heard.errors) == (alone.status, "ran\n", alone.errors)
    assert len(heard.messages) == 3


def test_interpreters_that_are_isolated_are_left_alone(trial: Trial) -> None:
    heard = trial.run("import importlib.util as u; print(u.find_spec('wandb'), u.find_spec('orchestrator'))", "-I")
    assert (heard.status, heard.output, heard.errors) == (0, "None None\n", "")


def test_nothing_is_changed_outside_of_a_trial(trial: Trial) -> None:
    heard = trial.run(
        "import importlib.util as u; print(u.find_spec('wandb'), u.find_spec('orchestrator'))", SWEEP_CHANNEL=""
    )
    assert (heard.status, heard.output, heard.errors) == (0, "None None\n", "")


def test_a_script_that_logs_nowhere_loads_nothing_of_ours(trial: Trial) -> None:
    heard = trial.run(
        "import sys; print([n for n in sys.modules if n.startswith(('_sweep', 'wandb', 'socket', 'typing'))])"
    )
    assert (heard.output, heard.errors) == ("[]\n", "")


def test_a_folder_that_offline_runs_left_is_not_taken_for_wandb(trial: Trial) -> None:
    (trial.folder / "wandb" / "offline-run-1").mkdir(parents=True)
    heard = trial.run("import wandb; wandb.init(); wandb.log({'loss': 1})")
    assert (heard.status, heard.losses) == (0, [1.0]), heard.errors


def test_an_installed_library_that_asks_for_wandb_is_told_that_it_is_not_there(trial: Trial) -> None:
    library = trial.folder / "site-packages" / "trainer.py"
    library.parent.mkdir()
    library.write_text("import importlib.util\nfound = importlib.util.find_spec('wandb')\n")
    heard = trial.run("import trainer, wandb; print(trainer.found)", PYTHONPATH=f"{INJECTED}:{library.parent}")
    assert (heard.status, heard.output) == (0, "None\n"), heard.errors


def test_a_mistake_while_listening_never_reaches_the_script(trial: Trial) -> None:
    heard = trial.run("""
import wandb
from orchestrator import report
class Odd:
    def __float__(self): raise ValueError
    def __str__(self): raise ValueError
run = wandb.init(config={"odd": Odd()})
run.log({"odd": Odd(), 3: 4, "huge": 10**400, "loss": 1})
run.define_metric(None, step_metric=Odd())
run.log({"loss": 2}, step="x")
run.save(3.5)
report("no mapping")
report(3)
report(loss=Odd())
""")
    assert heard.status == 0, heard.errors
    assert [m.metrics for m in heard.messages if isinstance(m, Logged) and m.metrics] == [
        *({"3": 4.0, "loss": 1.0}, {"loss": 2.0}),
    ]


def test_the_injected_files_need_the_standard_library_of_python_3_8_alone() -> None:
    for path in INJECTED.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        outside = {name.split(".")[0] for name in names} - sys.stdlib_module_names
        assert {name for name in outside if not name.startswith("_sweep_")} <= {"sitecustomize"}, path


SCALARS = {
    "numpy": "numpy.float32(0.5), numpy.int64(2), numpy.bool_(True), numpy.array([3.0]), numpy.zeros(3)",
    "torch": "torch.tensor(0.5), torch.tensor(2), torch.tensor(True), torch.full((1,), 3.0), torch.ones(2)",
}


@pytest.mark.parametrize("library", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_scalars_of_libraries_are_numbers_and_their_arrays_are_not(trial: Trial, library: str) -> None:
    trial.python = Path(sys.executable)
    heard = trial.run(
        f"import wandb, {library}; wandb.init(); wandb.log(dict(zip('abcdef', [{SCALARS[library]}, None])))"
    )
    assert heard.status == 0, heard.errors
    (logged,) = [message.metrics for message in heard.messages if isinstance(message, Logged)]
    assert logged == {"a": 0.5, "b": 2.0, "c": 1.0, "d": 3.0}


def environment(*packages: str) -> Path:
    """The Python of an environment with these packages, made once and kept."""
    place = Path.home() / ".cache" / "vae-sweeps" / "environments"
    folder = place / "-".join([*packages, f"{sys.version_info[0]}.{sys.version_info[1]}"])
    if not (folder / "whole").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *packages], check=True)
        (folder / "whole").touch()
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["wandb<0.20", "wandb"])
def test_what_is_logged_to_wandb_itself_is_heard(trial: Trial, version: str) -> None:
    trial.python = environment(version, "pillow", "numpy")
    heard = trial.run(SCRIPT)
    assert heard.errors == ""
    assert_heard_from_wandb(heard)
    assert [*trial.folder.glob("wandb/offline-run-*/*.wandb")], "its own store is as ever"
    pictures = """
import numpy, wandb
wandb.init()
wandb.log({"seen": wandb.Image(numpy.zeros((4, 6, 3), "uint8")), "loss": numpy.float32(1)})
"""
    heard = trial.run(pictures)  # without an end of its own
    _, picture, ended = heard.messages
    assert isinstance(picture, PictureLogged)
    assert Path(picture.path).read_bytes().startswith(PNG)
    assert (heard.losses, picture.name, ended) == ([1.0], "seen", Ended("wandb"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("library", "settings"), [("trackio", ""), ("swanlab", ", mode='offline'")])
def test_what_is_logged_to_the_libraries_themselves_is_heard(trial: Trial, library: str, settings: str) -> None:
    trial.python = environment(library, "pillow")
    heard = trial.run(f"""
import {library}
from PIL import Image
run = {library}.init(project="any", config={{"mine": 1}}{settings})
{library}.log({{"loss": 1}})
run.log({{"loss": 2, "seen": {library}.Image(Image.new("RGB", (4, 6)))}}, step=4)
{library}.finish()
""")
    assert heard.status == 0, heard.errors
    noted, _, _, picture, ended = heard.messages
    assert (noted, heard.losses, ended) == (Noted(library, {"mine": "1"}), [1.0, 2.0], Ended(library))  # type: ignore[arg-type]
    assert isinstance(picture, PictureLogged)
    assert (picture.name, picture.step) == ("seen", 4)
    assert Path(picture.path).read_bytes().startswith(PNG)
