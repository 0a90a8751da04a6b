"""The forms in which a trial function may take its configuration, and the forms that the function itself may have."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import functions
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError
from orchestrator.events import Finished, Progress
from orchestrator.functions import FunctionError, Parameter, TrialFunction
from orchestrator.functions.fields import adapter_of, inferred
from orchestrator.spec import load
from orchestrator.trackers import Store
from orchestrator.trial import Trial
from orchestrator.trials.grid import expand
from orchestrator.worker import runner

Sweep = Callable[..., subprocess.CompletedProcess[str]]
Find = Callable[[str], TrialFunction]

LOOP = """
    for epoch in range(1, {epochs} + 1):
        yield {{"epoch": epoch, "loss": {lr} / epoch}}
    return {{"score": {lr} * 10}}
"""
OF_CONFIG, OF_ITEMS, OF_NAMES = (
    LOOP.format(lr=lr, epochs=epochs)
    for lr, epochs in (
        ("config.lr", "config.epochs"),
        ("config['lr']", "config['epochs']"),
        ("lr", "epochs"),
    )
)
DATACLASS = "from dataclasses import dataclass\n@dataclass\nclass Config:\n    lr: float = 0.1\n    epochs: int = 3\n"
FORMS = {
    "dataclass": f"{DATACLASS}def train(config: Config):{OF_CONFIG}",
    "dataclass or None": f"{DATACLASS}def train(config: Config | None = None):{OF_CONFIG}",
    "dataclass behind what is offered": f"{DATACLASS}def train(workdir, config: Config):{OF_CONFIG}",
    "dataclass by name": f"{DATACLASS}def train(*, config: Config):{OF_CONFIG}",
    "pydantic": (
        "from pydantic import BaseModel, Field\nclass Config(BaseModel):\n    lr: float = Field(0.1, gt=0)\n"
        f"    epochs: int = 3\ndef train(config: Config):{OF_CONFIG}"
    ),
    "attrs": (
        "import attrs\n@attrs.define\nclass Config:\n    lr: float = 0.1\n    epochs: int = attrs.field(default=3)\n"
        f"def train(config: Config):{OF_CONFIG}"
    ),
    "attr.s": (
        "import attr\n@attr.s\nclass Config:\n    lr = attr.ib(default=0.1)\n"
        f"    epochs = attr.ib(factory=lambda: 3)\ndef train(config: Config):{OF_CONFIG}"
    ),
    "keywords": f"def train(lr: float = 0.1, epochs: int = 3, workdir=None, watch=None):{OF_NAMES}",
    "keywords without annotations": f"def train(lr=0.1, *, epochs=3):{OF_NAMES}",
    "keywords by position": f"def train(lr=0.1, epochs=3, /):{OF_NAMES}",
    "keywords and the rest": f"def train(lr=0.1, epochs=3, *further, **named):{OF_NAMES}",
    "callable instance": (
        "class Trainer:\n    def __call__(self, lr: float = 0.1, epochs: int = 3):"
        f"{OF_NAMES.replace(chr(10) + '    ', chr(10) + '        ')}train = Trainer()\n"
    ),
    "partial": (
        f"from functools import partial\ndef _train(data, lr=5.0, *, epochs=3):{OF_NAMES}"
        "train = partial(_train, 'data', lr=0.1)\n"
    ),
    "partial of a config": (
        f"from functools import partial\n{DATACLASS}def _train(config: Config):{OF_CONFIG}"
        "train = partial(_train, config=Config(epochs=3))\n"
    ),
    "decorated": (
        "from functools import wraps\ndef logged(function):\n    @wraps(function)\n"
        "    def logging(*args, **kwargs):\n        return function(*args, **kwargs)\n    return logging\n"
        f"@logged\ndef train(lr: 'float' = 0.1, epochs: 'int' = 3):{OF_NAMES}"
    ),
    "annotated later": f"from __future__ import annotations\n{DATACLASS}def train(config: Config):{OF_CONFIG}",
    "reports": (
        "def train(report, lr=0.1, epochs=3):\n    for epoch in range(1, epochs + 1):\n"
        "        report(epoch=epoch, loss=lr / epoch)\n    return {'score': lr * 10}\n"
    ),
}


@pytest.fixture
def find(folder: Path) -> Find:
    def find(source: str) -> TrialFunction:
        (folder / "mine.py").write_text(source)
        sys.modules.pop("mine", None)
        return functions.find("mine:train")

    return find


def run(folder: Path, params: dict[str, Any]) -> tuple[list[dict[str, float]], Finished]:
    workdir = folder / f"trial {len([*folder.glob('trial *')])}"
    workdir.mkdir()
    *events, end = runner.run(runner.Task("mine:train", params, workdir, DivergenceRule()))
    assert isinstance(end, Finished)
    return [dict(event.metrics) for event in events if isinstance(event, Progress)], end


@pytest.mark.parametrize("form", FORMS)
def test_each_form_has_its_parameters_is_checked_and_trains(find: Find, folder: Path, form: str) -> None:
    function = find(FORMS[form])
    assert function.defaults == {"lr": 0.1, "epochs": 3}
    typed = {name: parameter.validate(2) for name, parameter in function.parameters.items()}
    assert {name: type(value) for name, value in typed.items()} == {"lr": float, "epochs": int}
    with pytest.raises(ValueError, match=r"^input should be a valid number"):
        function.parameters["lr"].validate("much")
    params = function.resolve({"lr": 0.5, "epochs": 2})
    assert params == {"lr": 0.5, "epochs": 2}
    epochs, end = run(folder, dict(params))
    assert ([epoch["loss"] for epoch in epochs], end.reason, end.metrics) == ([0.5, 0.25], None, {"score": 5.0})


def test_one_configuration_is_one_trial_whatever_the_form(find: Find) -> None:
    keys = {find(source).trial(find(source).resolve({"lr": 0.5}), "").trial_key for source in FORMS.values()}
    assert keys == {Trial("mine:train", 1, {"lr": 0.5, "epochs": 3}, "").trial_key}


DICTS = {
    "named": f"def train(config):{OF_ITEMS}",
    "named, with None": f"def train(config=None):{OF_ITEMS}",
    "named, and more": f"def train(config, verbose=False):{OF_ITEMS}",
    "alone": f"def train(settings, workdir):{OF_ITEMS}".replace("config[", "settings["),
    "dict": f"def train(config: dict):{OF_ITEMS}",
    "dict of": f"def train(config: dict[str, float], verbose: bool = False):{OF_ITEMS}",
    "Mapping": f"from collections.abc import Mapping\ndef train(config: Mapping[str, float]):{OF_ITEMS}",
    "Dict": f"from typing import Any, Dict\ndef train(config: Dict[str, Any] = None):{OF_ITEMS}",
    "TypedDict": (
        f"from typing import TypedDict\nclass Config(TypedDict):\n    lr: float\ndef train(config: Config):{OF_ITEMS}"
    ),
    "instance": (
        f"class Trainer:\n    def __call__(self, config):{OF_ITEMS.replace(chr(10) + '    ', chr(10) + '        ')}"
        "train = Trainer()\n"
    ),
}


@pytest.mark.parametrize("form", DICTS)
def test_a_dict_has_whatever_the_file_names_and_plan_says_so(find: Find, folder: Path, sweep: Sweep, form: str) -> None:
    find(DICTS[form])
    path = folder / "mine.yaml"
    path.write_text("trial: mine:train\nparameters: {lr: {values: [0.5, 0.25]}, epochs: 2}\nseeds: [0, 1]\n")
    trials = expand(load(path, ["depth=3"])).trials
    assert trials[0].label == "lr=0.5 seed=0"
    assert trials[-1].params == {"lr": 0.25, "epochs": 2, "depth": 3, "seed": 1}
    epochs, end = run(folder, dict(trials[0].params))
    assert ([epoch["loss"] for epoch in epochs], end.reason, end.metrics) == ([0.5, 0.25], None, {"score": 5.0})
    argument = "settings" if form == "alone" else "config"
    planned = sweep("plan", path)
    assert f"\nparameters are not checked: mine:train takes them as a dict, {argument}\n" in planned.stdout
    assert "to run: 4 of 4" in planned.stdout


def test_a_dict_is_nested_as_the_file_is(find: Find, folder: Path) -> None:
    function = find("def train(config):\n    return {'score': config['optimizer']['lr'] + config['x']}\n")
    (folder / "mine.yaml").write_text(
        "trial: mine:train\nparameters: {x: 1, optimizer: {parameters: {lr: {min: 0.5, max: 1.0}}}}\n"
        "method: random\nrun_cap: 3\n"
    )
    trials = expand(load(folder / "mine.yaml")).trials
    assert [sorted(trial.params) for trial in trials] == [["optimizer.lr", "x"]] * 3
    assert function.config({"optimizer.lr": 0.5, "x": 1}) == {"optimizer": {"lr": 0.5}, "x": 1}
    assert run(folder, {"optimizer.lr": 0.5, "x": 1})[1].metrics == {"score": 1.5}


NESTED = {
    "keywords": (
        f"{DATACLASS}def train(depth: int = 2, optimizer: Config = Config(lr=5.0)):\n"
        "    return {'score': optimizer.lr + depth}\n"
    ),
    "pydantic": (
        "from pydantic import BaseModel\nclass Optimizer(BaseModel):\n    lr: float = 0.1\n    epochs: int = 3\n"
        "class Config(BaseModel):\n    depth: int = 2\n    optimizer: Optimizer = Optimizer(lr=5.0)\n"
        "def train(config: Config):\n    return {'score': config.optimizer.lr + config.depth}\n"
    ),
    "attrs": (
        "from attrs import define, field\n@define\nclass Optimizer:\n    lr: float = 0.1\n    epochs: int = 3\n"
        "@define\nclass Config:\n    depth: int = 2\n"
        "    _optimizer: Optimizer = field(factory=lambda: Optimizer(lr=5.0))\n"
        "def train(config: Config):\n    assert type(config._optimizer) is Optimizer\n"
        "    return {'score': config._optimizer.lr + config.depth}\n"
    ),
    "dataclass in attrs": (
        f"from attrs import define\n{DATACLASS}"
        "@define\nclass Outer:\n    depth: int = 2\n    optimizer: Config = Config(lr=5.0)\n"
        "def train(config: Outer):\n    assert type(config.optimizer) is Config\n"
        "    return {'score': config.optimizer.lr + config.depth}\n"
    ),
}


@pytest.mark.parametrize("form", NESTED)
def test_what_is_nested_is_named_with_a_dot(find: Find, folder: Path, form: str) -> None:
    function = find(NESTED[form])
    assert function.defaults == {"depth": 2, "optimizer.lr": 5.0, "optimizer.epochs": 3}
    assert run(folder, dict(function.resolve({"optimizer.lr": 0.5})))[1].metrics == {"score": 2.5}


@pytest.mark.parametrize(
    ("argument", "taken", "refused"),
    [
        ("x=True", [True, False], [1, "yes"]),
        ("x=1", [2, 3.0], [0.5, "one", True]),
        ("x=0.5", [1, 0.25], ["half"]),
        ("x='adam'", ["sgd"], [1]),
        ("x=[64, 64]", [[1], ["a"]], [1]),
        ("x=(64, 64)", [[1, 2]], [1]),
        ("x=None", [1, 0.5, "a", None, [1], True], [float("nan")]),
        ("x", [1, 0.5, "a", None, [1], True], [float("inf")]),
        ("x: float = None", [1, None], ["a"]),
        ("x: int | None = None", [1, None], ["a"]),
        ("x: Literal['a', 'b'] = 'a'", ["b"], ["c"]),
        ("x: Annotated[float, Field(gt=0)] = 0.5", [1], [0]),
        ("x: 'list[int]' = [1]", [[2]], [["a"]]),
        ("x: Path = Path('data')", ["other"], [1]),
        ("x=Kind.A", ["b"], ["c"]),
    ],
)
def test_an_argument_has_the_type_of_its_annotation_or_of_its_default(
    find: Find, argument: str, taken: list[Any], refused: list[Any]
) -> None:
    head = "from pathlib import Path\nfrom typing import Annotated, Literal\nfrom pydantic import Field\n"
    head += "from enum import StrEnum\nKind = StrEnum('Kind', {'A': 'a', 'B': 'b'})\n"
    function = find(f"{head}def train({argument}, watch=None, y=1): ...\n")
    parameter = function.parameters["x"]
    for value in taken:
        assert function.resolve({"x": parameter.validate(value), "y": 1})["x"] == value, value
    for value in refused:
        with pytest.raises(ValueError, match=r"input should be|valid|must be"):
            parameter.validate(value)


def test_an_argument_that_is_no_plain_value_keeps_its_default(find: Find, folder: Path) -> None:
    function = find(
        "def scaled(x): return 2 * x\nclass Device: ...\n"
        "def train(activation=scaled, lr=0.5, device: Device = Device()):\n"
        "    assert type(device) is Device\n    return {'score': activation(lr)}\n"
    )
    assert function.defaults == {"lr": 0.5}
    assert run(folder, {"lr": 0.5})[1].metrics == {"score": 1.0}


def test_values_that_do_not_go_together_are_refused_by_each_class(find: Find) -> None:
    pydantic = (
        "from pydantic import BaseModel, model_validator\nclass Config(BaseModel):\n    x: int = 0\n"
        "    @model_validator(mode='after')\n    def check(self):\n        if self.x > 3:\n"
        "            raise ValueError('x is beyond 3')\n        return self\ndef train(config: Config): ...\n"
    )
    attrs = (
        "from attrs import define, field, validators\n@define\nclass Config:\n"
        "    x: int = field(default=0, validator=validators.le(3))\ndef train(config: Config): ...\n"
    )
    for source, said in ((pydantic, "^x is beyond 3$"), (attrs, "^ValueError: 'x' must be <= 3: 7$")):
        function = find(source)
        assert function.resolve({"x": 3}) == {"x": 3}
        with pytest.raises(ValueError, match=said):
            function.resolve({"x": 7})


def test_an_alias_and_a_limit_of_a_model_are_known(find: Find) -> None:
    function = find(
        "from pydantic import BaseModel, Field\nclass Config(BaseModel):\n"
        "    lr: float = Field(0.1, gt=0, alias='learning-rate', description='The step.')\n"
        "def train(config: Config): ...\n"
    )
    assert (function.named("learning-rate"), function.named("lr")) == (function.parameters["lr"],) * 2
    assert function.parameters["lr"].schema == {"description": "The step.", "exclusiveMinimum": 0, "type": "number"}
    assert function.config({"lr": 0.5}).lr == 0.5


HEAVY = "raise_if_imported = 1 / 0\n"


@pytest.mark.parametrize(
    "signature",
    [
        "lr: float = 0.1, epochs: int = 3, workdir=None, watch: Watch = None",
        "lr=1e-1, *, epochs=3, name: str | None = None, hidden=[64, -1], report",
        "config, workdir: Path",
        "config: dict, watch",
        "config: dict[str, Any] = made()",
    ],
)
def test_what_the_source_shows_is_read_without_an_import(find: Find, signature: str) -> None:
    function = find(f"{HEAVY}def train({signature}): ...\ntrain.version = 3\n")
    assert function.version == 3
    assert function.is_open or {"lr": 0.1, "epochs": 3}.items() <= function.defaults.items()
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    "source",
    [
        "from functools import partial\ndef train(lr=0.1): ...\ntrain = partial(train, lr=0.5)\n",
        "RATE = 0.5\ndef train(lr=RATE): ...\n",
        "float_ = float\ndef train(lr: float_ = 0.5): ...\n",
        "def train(lr=0.5, *, at: dict[int, float]): ...\n",
        "def twice(function): return lambda lr=0.5: function(lr)\n@twice\ndef train(lr=0.1): ...\n",
    ],
)
def test_what_only_an_import_shows_is_imported(find: Find, source: str) -> None:
    assert find(source).defaults == {"lr": 0.5}
    assert "mine" in sys.modules


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "async def train(lr=0.1): ...",
            "mine:train is `async def`, which no trial can be; write `def`, and call what",
        ),
        ("async def train(lr=0.1):\n    yield {}", "mine:train is `async def`, which"),
        ("async def _train(lr=0.1): ...\ntrain = _train", "mine:train is `async def`, which"),
        ("class T:\n    async def __call__(self, lr=0.1): ...\ntrain = T()", "mine:train is `async def`, which"),
        (
            "def train(*args, **kwargs): ...",
            "mine:train takes *args and **kwargs, so its parameters are not known; name",
        ),
        (
            "def train(watch, **kwargs): ...",
            "mine:train takes *args and **kwargs, so its parameters are not known; name",
        ),
        (
            "def d(f):\n    def g(*a, **k): return f(*a, **k)\n    return g\n@d\ndef train(lr=0.1): ...",
            "or have its decorator keep them, with functools.wraps",
        ),
        ("def train(): ...", "mine:train has no argument that could be a parameter; give it some"),
        ("def train(workdir, watch): ...", "mine:train has no argument that could be a parameter; give it some"),
        ("class train:\n    def __init__(self, lr=0.1): ...", "mine:train is a class; name a function, or an instance"),
        (
            "class C: ...\ndef train(config: C): ...",
            "mine:train: its argument config can be no parameter; annotate it as",
        ),
        ("def train(config: 'Nowhere'): ...", "mine:train cannot be loaded: NameError: name 'Nowhere' is not defined"),
    ],
)
def test_a_function_that_no_trial_can_be_is_said_in_a_line(find: Find, source: str, said: str) -> None:
    with pytest.raises(FunctionError, match=f"^[^\n]*{re.escape(said)}[^\n]*$"):
        find(f"{source}\n")


def test_what_turns_out_to_be_async_fails_with_what_to_write(find: Find, folder: Path) -> None:
    find(
        "from functools import wraps\ndef plain(function):\n    @wraps(function)\n"
        "    def called(*args, **kwargs): return function(*args, **kwargs)\n    return called\n"
        "@plain\nasync def train(lr=0.1):\n    yield {'loss': 1.0}\n"
    )
    reason = run(folder, {"lr": 0.1})[1].reason
    assert reason is not None
    assert reason.startswith("TypeError: the trial function is `async def`, which no trial can be; write `def`")


def test_a_decorator_may_run_what_is_async(find: Find, folder: Path) -> None:
    find(
        "import asyncio\nfrom functools import wraps\ndef running(function):\n    @wraps(function)\n"
        "    def run(*args, **kwargs): return asyncio.run(function(*args, **kwargs))\n    return run\n"
        "@running\nasync def train(lr=0.1):\n    return {'score': lr}\n"
    )
    assert run(folder, {"lr": 0.1})[1].metrics == {"score": 0.1}


def test_prepare_gets_the_keywords_that_it_names(find: Find, folder: Path) -> None:
    head = "def train(lr=0.1, data='here', epochs=3):\n    return {'score': lr}\n"
    for named, expected in (("data", "there"), ("*, data, lr", "there0.5"), ("**all", "there"), ("", "")):
        what = {"**all": "all['data']", "": "''", "data": "data", "*, data, lr": "f'{data}{lr}'"}[named]
        find(f"{head}def prepare({named}):\n    raise ValueError('no ' + {what})\ntrain.prepare = prepare\n")
        assert runner.prepare("mine:train", [{"lr": 0.5, "data": "there", "epochs": 3}]) == f"no {expected}"


@pytest.mark.parametrize("keys", [(1, 2), (0.5, 2.0)])
def test_a_mapping_without_an_annotation_keeps_numbers_as_its_keys(keys: tuple[float, float]) -> None:
    weights = Parameter("weights", adapter_of(inferred(dict.fromkeys(keys, 1.0))), None)
    given = weights.adapter.validate_python(weights.validate({keys[1]: 3}))
    assert [(key, type(key)) for key in given] == [(keys[1], type(keys[1]))]


def test_a_partial_has_what_its_function_declares(find: Find) -> None:
    function = find(
        "from functools import partial\ndef _train(lr=0.1, x=2): ...\n_train.version = 4\n_train.stack_by = ['lr']\n"
        "def export(artifacts, folder): ...\n_train.export = export\ntrain = partial(_train, x=3)\n"
    )
    assert (function.version, function.declaration.stack_by, function.defaults) == (4, ("lr",), {"lr": 0.1, "x": 3})
    assert functions.attached(function, "export").__name__ == "export"  # type: ignore[union-attr]


def test_trials_that_are_stacked_are_given_what_each_would_be_given_alone(find: Find, folder: Path) -> None:
    find(
        "def train(lr=0.1, epochs=1): ...\n"
        "def stacked(configs, width):\n    yield [{'loss': c['lr']} for c in configs]\n"
        "    return [{'score': c['lr'] * width} for c in configs]\ntrain.stacked = stacked\ntrain.stack_by = ('lr',)\n"
    )
    tasks = []
    for place, lr in enumerate((0.5, 0.25)):
        (folder / str(place)).mkdir()
        params = {"lr": lr, "epochs": 1}
        tasks.append(runner.Task("mine:train", params, folder / str(place), DivergenceRule(), place=place))
    *_, ends = runner.run_stack(tasks, 2)
    assert [end.metrics for _, end in ends if isinstance(end, Finished)] == [{"score": 1.0}, {"score": 0.5}]


def test_a_misspelled_keyword_is_a_mistake_with_its_line(find: Find, folder: Path) -> None:
    find(FORMS["keywords"])
    (folder / "mine.yaml").write_text("trial: mine:train\nparameters:\n  lrr: {values: [0.5]}\n")
    with pytest.raises(
        InputError, match=r"mine.yaml:3: parameters.lrr: unknown parameter of mine:train; did you mean lr"
    ):
        load(folder / "mine.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [FORMS["keywords"], FORMS["attrs"], DICTS["named"]], ids=["keywords", "attrs", "dict"]
)
def test_a_sweep_of_it_runs_goes_on_and_is_replayed(
    find: Find, folder: Path, store: str, sweep: Sweep, source: str
) -> None:
    find(source)
    (folder / "mine.yaml").write_text(
        "trial: mine:train\nmetric: {name: score, goal: maximize}\nparameters: {lr: {values: [0.5, 0.25]}, epochs: 2}\n"
    )
    done = sweep("launch", "mine.yaml", "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"completed .*\[2/2\]", done.stdout)
    assert "to run: 0 of 2" in sweep("plan", "mine.yaml").stdout
    assert "started" not in sweep("launch", "mine.yaml").stdout
    for record in Store(store).records("mine"):
        assert "its numbers are the same, to the bit" in sweep("replay", record.run_id).stdout
