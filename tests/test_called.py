"""Sweeps that a call in Python defines: of functions of a script, a notebook, or another function."""

import asyncio
import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

import orchestrator
import orchestrator.called
from orchestrator.errors import AlreadyRunningError, InputError
from orchestrator.executors.ray.packing import pack
from orchestrator.functions.carried import CarriedFunction
from orchestrator.functions.finding import find
from orchestrator.functions.modules import Modules
from orchestrator.spec import load
from orchestrator.trackers import Store, identity
from orchestrator.trackers.identity import Identity
from orchestrator.trials.grid import expand
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
LOSS = {"name": "loss", "goal": "minimize"}
SCRIPT = """
import numpy as np
from dataclasses import dataclass, field

WIDTH = 2
DATA = np.ones(3)

@dataclass
class Config:
    lr: float = 0.1
    tags: list[str] = field(default_factory=list)

    def scaled(self):
        return self.lr * WIDTH

def half(x):
    return x / 2

def train(config: Config):
    return {"loss": half(config.scaled()) + float(DATA.sum())}
"""


@pytest.fixture
def script(folder: Path) -> Callable[..., Any]:
    """The function `train` of a script that runs, and is no module that could be imported."""

    def run(text: str = SCRIPT) -> Any:
        path = folder / f"script{abs(hash(text))}.py"
        path.write_text(text)
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(text, str(path), "exec"), names)  # noqa: S102
        return names["train"]

    return run


def test_a_function_is_another_one_where_what_decides_its_results_has_changed(script: Callable[..., Any]) -> None:
    name = CarriedFunction.of(script()).name
    assert name.startswith("main_")
    assert name.endswith(":train")
    for before, after in [
        ("x / 2", "x / 3"),  # of a function that it uses
        ("WIDTH = 2", "WIDTH = 4"),  # a value, which a method reads
        ("self.lr * WIDTH", "self.lr + WIDTH"),
        ("lr: float", "lr: int"),
        ('{"loss": ', '{"loss": 1 + '),
    ]:
        assert CarriedFunction.of(script(SCRIPT.replace(before, after))).name != name, after
    for before, after in [
        ("def half(x):", "def half(x):  # a comment\n"),
        ("np.ones(3)", "np.ones(4)"),  # data
        ("\nWIDTH", "\nOTHER = 1\nWIDTH"),
    ]:
        assert CarriedFunction.of(script(SCRIPT.replace(before, after))).name == name, after


def test_values_of_a_closure_count_as_those_of_a_script_do() -> None:
    def made(width: int, scale: Callable[[float], float]) -> Callable[..., Any]:
        def train(lr: float) -> dict[str, float]:
            return {"loss": scale(lr) * width}

        return train

    def once(x: float) -> float:
        return x

    def twice(x: float) -> float:
        return 2 * x

    assert CarriedFunction.of(made(1, once)).name == CarriedFunction.of(made(1, once)).name
    steps = [once]

    def listed(lr: float) -> dict[str, float]:
        return {"loss": steps[0](lr)}

    first = CarriedFunction.of(listed).name
    steps[0] = twice
    assert CarriedFunction.of(listed).name != first
    others = [made(2, once), made(1, twice), functools.partial(made(1, once), lr=2.0)]
    assert len({CarriedFunction.of(one).name for one in [made(1, once), *others]}) == 4


MODULE = """
class Trainer:
    def __init__(self, width):
        self.width = width
    def train(self, lr: float):
        return {'loss': lr * self.width}
    @staticmethod
    def once(lr: float):
        return {'loss': lr}
class Other:
    @staticmethod
    def once(lr: float):
        return {'loss': 2 * lr}
def train(lr: float, width: int = 1):
    return {'loss': lr * width}
"""
IMPORTED = [  # what is written before `def train` of one function and of another, which have the same text
    ("from json import dumps as net", "from json import loads as net"),
    ("import json as net", "import pickle as net"),
    ("from math import sin as net", "from math import cos as net"),
    ("import builtins; net = builtins.sum", "import builtins; net = builtins.max"),
    ("from one import Trainer as net", "from one import Other as net"),
    ("from one import Trainer; net = Trainer(3)", "from one import Trainer; net = Trainer(5)"),
    ("from one import Trainer; net = Trainer(3).train", "from one import Trainer; net = Trainer(5).train"),
    ("import numpy; net = numpy.add", "import numpy; net = numpy.subtract"),
    ("from pathlib import Path; net = Path('a')", "from pathlib import Path; net = Path('b')"),
    ("from types import SimpleNamespace as S; net = S(a=1)", "from types import SimpleNamespace as S; net = S(a=2)"),
    ("from http import HTTPMethod; net = HTTPMethod.GET", "from http import HTTPMethod; net = HTTPMethod.PUT"),
    ("import numpy; net = numpy.float32(1)", "import numpy; net = numpy.float32(2)"),
    ("import numpy; net = numpy.float32(1)", "import numpy; net = numpy.float64(1)"),
    ("net = {'a', 'b'}", "net = {'a', 'c'}"),
]


def test_what_is_imported_counts_by_its_name_and_its_plain_values(folder: Path, script: Callable[..., Any]) -> None:
    (folder / "one.py").write_text(MODULE)
    for before, after in IMPORTED:
        function = "\ndef train(lr: float):\n    return {'loss': net}\n"
        names = [CarriedFunction.of(script(text + function)).name for text in (before, before, after)]
        assert names[0] == names[1] != names[2], after
    trainer = CarriedFunction.of(script("from one import Trainer\ntrain = Trainer(3)\n"))
    assert "one" in trainer.modules


def test_functions_that_have_one_name_in_two_modules_or_classes_are_two(
    folder: Path, script: Callable[..., Any]
) -> None:
    (folder / "one.py").write_text(MODULE)
    (folder / "two.py").write_text(MODULE)
    for before, after in [
        ("from functools import partial; import one; train = partial(one.train, width=3)", "two.train"),
        ("import one; train = one.Trainer.once", "one.Other.once"),
        ("import one; train = one.Trainer(3).train", "one.Trainer(5).train"),
    ]:
        was = before.rpartition("=")[2].strip() if "partial" not in before else "one.train"
        changed = before.replace("import one", "import one, two").replace(was, after)
        assert CarriedFunction.of(script(before)).name != CarriedFunction.of(script(changed)).name, after


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (
            "import functools\nclass C:\n    @functools.cached_property\n    def net(self):\n        return 1\n",
            "return 1",
            "return 2",
        ),
        (
            "from dataclasses import dataclass, field\ndef made():\n    return 1\n"
            "@dataclass\nclass C:\n    net: int = field(default_factory=made)\n",
            "return 1",
            "return 2",
        ),
        (
            "from dataclasses import dataclass\n@dataclass(slots=True)\nclass C:\n    net: int = 1\n",
            "int = 1",
            "int = 2",
        ),
        ("from pydantic import BaseModel\nclass C(BaseModel):\n    net: int = 1\n", "int = 1", "int = 2"),
        (
            "from pydantic import BaseModel, Field\ndef made():\n    return 1\n"
            "class C(BaseModel):\n    net: int = Field(default_factory=made)\n",
            "return 1",
            "return 2",
        ),
        (
            "class C:\n    net = 1\n    def __new__(cls):\n        return super().__new__(cls)\n",
            "return super",
            "cls.net = 2; return super",
        ),
        (
            "class B:\n    def __init_subclass__(cls):\n        cls.net = 1\nclass C(B): ...\n",
            "net = 1",
            "net = 2",
        ),
        ("def f():\n    return 1\ndef g():\n    return 2\nC = f\n", "C = f", "C = g"),
    ],
    ids=[
        "a cached property",
        "a default factory",
        "a default in slots",
        "a model's default",
        "a model's default factory",
        "__new__",
        "a class method of Python's",
        "another name",
    ],
)
def test_an_edit_in_any_part_of_a_class_makes_another_function(
    script: Callable[..., Any], text: str, before: str, after: str
) -> None:
    function = "def train(lr: float):\n    return {'loss': C().net, 'g': globals().get('f')}\n"
    if "def g" in text:
        function = "def train(lr: float):\n    return {'loss': C() + 3 * f() + 5 * g()}\n"
    names = [
        CarriedFunction.of(script(one + function)).name for one in (text, f"{text}\n", text.replace(before, after))
    ]
    assert names[0] == names[1] != names[2]


def test_what_an_object_has_computed_or_logged_makes_no_other_function(script: Callable[..., Any]) -> None:
    train = script(
        "import functools, logging, numpy\nlog = logging.getLogger('train')\ndata = numpy.zeros(3)\n"
        "class C:\n    @functools.cached_property\n    def net(self):\n        return 1\nc = C()\n"
        "def train(lr: float):\n    log.info('begun')\n    data[0] = lr\n    return {'loss': c.net}\n"
    )
    name = CarriedFunction.of(train).name
    train(1.0)
    assert CarriedFunction.of(train).name == name


@pytest.mark.slow
def test_sets_and_objects_are_the_same_in_each_process(folder: Path) -> None:
    (folder / "script.py").write_text(
        "import numpy\nfrom orchestrator.functions.carried import CarriedFunction\nnames = {'a', 'b', 'c', 'd'}\n"
        "draws = numpy.random.default_rng(0)\n"
        "def train(lr: float):\n    return {'loss': len(names) + draws.random()}\n"
        "print(CarriedFunction.of(train).name)\n"
    )
    seen = [
        subprocess.run(
            [sys.executable, "script.py"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(3)
    ]
    assert len({*seen}) == 1


KINDS = {
    "a dataclass": (SCRIPT, {"lr": 1.0, "tags": []}),
    "annotations that are texts": (f"from __future__ import annotations\n{SCRIPT}", {"lr": 1.0, "tags": []}),
    "a cache": (
        "import functools\n@functools.lru_cache(maxsize=3)\ndef f(x):\n    return x + 3\n"
        "def train(lr: float):\n    return {'loss': f(lr)}\n",
        {"lr": 1.0},
    ),
    "a value that is computed once": (
        "import functools\nclass C:\n    @functools.cached_property\n    def net(self):\n        return 3\n"
        "def train(lr: float):\n    return {'loss': lr + C().net}\n",
        {"lr": 1.0},
    ),
    "a model": (
        "from pydantic import BaseModel, Field, field_validator\n"
        "class Config(BaseModel):\n    lr: float = Field(gt=0)\n"
        "    @field_validator('lr')\n    @classmethod\n    def twice(cls, lr):\n        return 2 * lr\n"
        "def train(config: Config):\n    return {'loss': config.lr + 2}\n",
        {"lr": 1.0},
    ),
    "an instance": (
        "class Train:\n    def __init__(self, k):\n        self.k = k\n    def __call__(self, lr: float = 1.0):\n"
        "        return {'loss': lr * self.k}\ntrain = Train(4)\n",
        {"lr": 1.0},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_another_process_has_the_same_function(kind: str, folder: Path, script: Callable[..., Any]) -> None:
    text, params = KINDS[kind]
    carried = CarriedFunction.of(script(text))
    carried.write(folder / "launched")
    program = f"""
from orchestrator import functions
from orchestrator.functions import Modules
with (modules := Modules(({str(folder / "launched")!r},))).active():
    found = functions.find({carried.name!r}, modules)
    print(found.form.bound(functions.load(found.name), found.config({params!r}))())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "{'loss': 4.0}\n", done.stderr


def test_a_module_is_named_as_in_a_file_and_so_has_the_same_trials(store: str, write: Write) -> None:
    import toys

    called = orchestrator.called.called(
        toys.train, {"parameters": {"x": np.array([1, 4])}, "seeds": 2, "metric": {"name": "score"}}, store, list
    )
    file = load(write("trial: toys:train\nmetric: {name: score}\nparameters: {x: {values: [1, 4]}}\nseeds: [0, 1]\n"))
    assert [trial.trial_key for trial in expand(called).trials] == [trial.trial_key for trial in expand(file).trials]
    assert (called.name, called.source.path.name) == ("train", "sweep.yaml")
    with pytest.raises(InputError, match="the sweep train in the store is of another file"):  # launched as a file
        identity.check(Identity.of(file), called)


def test_mistakes_in_a_call_are_said_by_their_keys(store: str) -> None:
    lock = threading.Lock()

    def train(lr: float, seed: int = 0) -> dict[str, float]:
        return {"loss": lr}

    def locked(lr: float) -> dict[str, float]:
        with lock:
            return {"loss": lr}

    async def late(lr: float) -> None: ...

    class Train: ...

    def calls(function: Any = train, **keys: Any) -> Callable[[], Any]:
        return lambda: orchestrator.launch(function, quiet=True, **keys)

    for call, says in [
        (calls(parameters={"lr": ["a"]}), r"^parameters.lr.values\[0\]: input should be a valid number, not 'a'$"),
        (calls(parameters={"lrr": 1}), "^parameters.lrr: unknown parameter of train; did you mean lr"),
        (calls(paramters={"lr": [1]}), "^paramters: unknown key; did you mean parameters.$"),
        (calls(parameters={"lr": {"min": 1}}), "^parameters.lr.max: is missing"),
        (calls(parameters={"lr": [float("nan")]}), r"^parameters.lr\[0\]: nan can be in no sweep"),
        (calls(parameters={"lr": 1}, trial="a:b"), "^trial: is the function that the sweep is given"),
        (calls(overrides={"lr": 1}), "overrides are for a file"),
        (calls(late), "^trial: late is `async def`"),
        (calls(Train), "^Train is a class"),
        (calls(3), "^3 is no sweep"),
        (calls(lambda lr: {"loss": lr}), "^a lambda has no name"),
        (calls(locked), "^locked cannot be taken to other processes: it uses lock: TypeError: cannot pickle"),
        (calls("toy.yaml", seeds=3), "^seeds: is for a function; of a file, change the file"),
    ]:
        with pytest.raises(InputError, match=says) as raised:
            call()
        assert "main_" not in str(raised.value)
    assert not Path("mlruns/work").exists()


@pytest.mark.slow
def test_a_call_that_is_refused_leaves_file_and_function_as_they_are(store: str, folder: Path) -> None:
    data = np.zeros(1)

    def train(lr: float = 0.1) -> dict[str, float]:
        return {"loss": lr + data[0]}

    def launched(lr: float) -> None:
        orchestrator.launch(train, parameters={"lr": [lr]}, executor="inline", quiet=True)

    def written() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in Path("mlruns/work/train/launched").iterdir() if path.is_file()}

    launched(1.0)
    before = written()
    assert b"1.0" in before["sweep.yaml"]
    data[0] = 5.0
    with Workspace(store, "train"), pytest.raises(AlreadyRunningError, match="already running"):
        launched(2.0)
    assert written() == before

    (folder / "train.yaml").write_text("trial: toys:train\nmetric: {name: score}\nparameters: {x: {values: [1]}}\n")
    orchestrator.launch("train.yaml", adopt=True, executor="inline", quiet=True)
    with pytest.raises(InputError, match="the sweep train in the store is of another file"):
        launched(2.0)
    assert written()["sweep.yaml"] == before["sweep.yaml"]


def test_a_function_without_source_says_so(store: str) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def train(lr: float):\n    return {'loss': lr}\n", names)  # noqa: S102
    with pytest.raises(InputError, match=r"^the source of train is not known, as of what is typed at Python's own"):
        orchestrator.launch(names["train"])


def test_a_number_of_seeds_stands_for_so_many(write: Write) -> None:
    assert load(write("trial: toys:train\nseeds: 3\n")).seeds == (0, 1, 2)
    for seeds in ("0", "-1", "true", "100000"):
        with pytest.raises(InputError, match="seeds: input should be a list"):
            load(write(f"trial: toys:train\nseeds: {seeds}\n"))


@pytest.mark.slow
def test_what_a_call_came_to_is_at_hand(store: str, capfd: pytest.CaptureFixture[str], sweep: Sweep) -> None:
    scale = 2.0

    def train(lr: float = 0.1, epochs: int = 3, seed: int = 0) -> Any:
        for epoch in range(1, epochs + 1):
            yield {"epoch": epoch, "loss": scale * lr / epoch + seed / 1000}
        return {"final": lr}

    def launched(**keys: Any) -> orchestrator.Sweep:
        return orchestrator.launch(train, parameters={"lr": [1.0, 2.0]}, seeds=2, metric=LOSS, workers=2, **keys)

    found = launched()
    assert "4 trials, 0 of them already finished" in capfd.readouterr().out
    assert found == orchestrator.load_sweep("train")
    assert found.best == {"lr": 1.0, "epochs": 3}
    curves = found.curves
    assert curves.index.names == ["trial", "epoch"]
    assert list(curves.loc["lr=1 seed=0"]["loss"]) == [2.0, 1.0, 2.0 / 3]
    assert len(curves) == 12

    # the command sees the same, and goes on with it
    assert "train   4 " in sweep("status", "train").stdout
    best = sweep("best", "train").stdout
    assert "best of 2 by loss (minimize): lr=1\n" in best
    assert "launch mlruns/work/train/launched/sweep.yaml --name=train-again --set=lr=1.0" in best
    again = sweep("launch", "mlruns/work/train/launched/sweep.yaml")
    assert (again.returncode, "started" in again.stdout) == (0, False), again.stderr
    more = sweep("launch", "mlruns/work/train/launched/sweep.yaml", "--set=lr=3", "--name=more")
    assert re.search(r"completed .*\[2/2\]", more.stdout), more.stderr

    scale = 3.0  # another function now, and the same again
    assert launched(quiet=True).trials.loc["lr=1 seed=0", "best_loss"] == 1.0
    assert len(Store(store).records("train")) == 8
    assert "train   4 " in sweep("status", "train").stdout
    scale = 2.0
    assert launched().trials.loc["lr=1 seed=0", "best_loss"] == 2.0 / 3
    told = capfd.readouterr().out
    assert "started" not in told
    assert "has changed" not in told
    assert len(Store(store).records("train")) == 8


@pytest.mark.slow
def test_inline_it_is_the_function_itself_that_runs(store: str) -> None:
    seen = []

    def train(lr: float) -> dict[str, float]:
        seen.append(lr)
        return {"loss": lr}

    async def cell() -> orchestrator.Sweep:  # where a loop runs already, as in each cell of a notebook
        return orchestrator.launch(train, parameters={"lr": [1.0, 2.0]}, executor="inline", quiet=True)

    found = asyncio.run(cell())
    assert seen == [1.0, 2.0]
    assert found.curves.empty
    with pytest.raises(InputError, match="train has no metric to compare trials by"):
        _ = found.best


@pytest.mark.slow
def test_a_script_launches_a_function_of_its_own_without_a_guard(store: str, folder: Path) -> None:
    (folder / "beside.py").write_text("def scaled(x):\n    return 2 * x\n")
    (folder / "script.py").write_text(
        "import orchestrator\nfrom beside import scaled\nprint('the script')\n"
        "def train(lr: float, epochs: int = 2):\n"
        "    for epoch in range(1, epochs + 1):\n        yield {'epoch': epoch, 'loss': scaled(lr)}\n"
        "sweep = orchestrator.launch(train, parameters={'lr': [1.0, 2.0]}, quiet=True)\n"
        "print(sorted(sweep.curves['loss']))\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "the script\n[2.0, 2.0, 4.0, 4.0]\n"), done.stderr
    assert len(Store(store).records("train")) == 2
    # the code beside it is known as that of a module's function is
    (function,) = {record.tags["trial"] for record in Store(store).records("train")}
    launched = folder / "mlruns" / "work" / "train" / "launched"
    modules = Modules((str(launched), str(folder)))
    before = find(function, modules).digest
    (folder / "beside.py").write_text("def scaled(x):\n    return 3 * x\n")
    assert find(function, modules).digest not in (None, before)


def test_ray_takes_the_function_along_and_no_store(
    store: str, folder: Path, script: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec = orchestrator.called.called(script(), {"parameters": {"lr": 1.0}}, store, list)
    packed = pack(spec.function, [], tmp_path_factory.mktemp("packed") / "one.zip", folder / "mlruns" / "work")
    names = ZipFile(packed.file).namelist()
    module = spec.function.name.partition(":")[0]
    launched = packed.code[str(folder / "mlruns" / "work" / "train" / "launched")]
    assert {f"{launched}/{module}.py", f"{launched}/{module}.pickle"} <= {*names}
    assert not [name for name in names if name.endswith(".db") or os.path.basename(name) == "launch.lock"]  # noqa: PTH119
