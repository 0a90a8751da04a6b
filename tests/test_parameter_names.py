"""Names of parameters: nested, dotted, dashed, by an alias."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from reading import children

from orchestrator import schema
from orchestrator.errors import InputError
from orchestrator.spec import load
from orchestrator.spec.domains import Range
from orchestrator.trial import Trial
from orchestrator.trials.grid import expand

CONFIG = """
from dataclasses import dataclass, field
from typing import Annotated
from pydantic import Field

@dataclass(frozen=True)
class Warmup:
    steps: int = 10

@dataclass(frozen=True)
class Optimizer:
    lr: float = 0.1
    weight_decay: Annotated[float, Field(alias="wd", ge=0)] = 0.0
    warmup: Warmup = Warmup()

@dataclass(frozen=True)
class Config:
    batch_size: int = 8
    optimizer: Annotated[Optimizer, Field(alias="optim")] = field(default_factory=lambda: Optimizer(lr=0.5))
    seed: int = 0

def train(config: Config):
    rate, steps = config.optimizer.lr, config.optimizer.warmup.steps
    yield {"loss": rate + config.optimizer.weight_decay, "steps": steps, "batch": config.batch_size}
"""
NESTED = """
trial: deep:train
parameters:
  batch-size: 16
  optimizer:
    parameters:
      lr: {values: [0.1, 0.2]}
      warmup: {parameters: {steps: 30}}
  optim.wd: 0.5
"""
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _deep(folder: Path) -> None:
    (folder / "deep.py").write_text(CONFIG)


def test_a_parameter_of_a_nested_dataclass_has_one_dotted_name_however_the_file_spells_it(write: Write) -> None:
    spec = load(write(NESTED))
    assert list(spec.function.parameters) == [
        *("batch_size", "optimizer.lr", "optimizer.weight_decay", "optimizer.warmup.steps", "seed")
    ]
    trials = expand(spec).trials
    assert [trial.label for trial in trials] == ["optimizer.lr=0.1", "optimizer.lr=0.2"]
    given = {"batch_size": 16, "optimizer.lr": 0.1, "optimizer.weight_decay": 0.5, "optimizer.warmup.steps": 30}
    assert trials[0].params == given | {"seed": 0}
    dotted = "trial: deep:train\nparameters: {batch_size: 16, optimizer.weight_decay: 0.5}\n"
    dotted += "configs:\n- {optimizer.warmup.steps: 30, optim.lr: 0.1}\n"
    assert [trial.trial_key for trial in expand(load(write(dotted))).trials] == [trials[0].trial_key]


def test_the_defaults_of_a_nested_dataclass_are_those_of_its_field(write: Write) -> None:
    (trial,) = expand(load(write("trial: deep:train\n"))).trials
    assert trial.params["optimizer.lr"] == 0.5
    assert trial.params["optimizer.warmup.steps"] == 10


def test_a_sweep_of_a_nested_dataclass_that_an_earlier_version_ran_keeps_its_keys() -> None:
    nested = {"batch_size": 8, "optimizer": {"lr": 0.5, "warmup": {"steps": 10}}, "seed": 0}
    flat = {"batch_size": 8, "optimizer.lr": 0.5, "optimizer.warmup.steps": 10, "seed": 0}
    assert Trial("deep:train", 1, nested, "").trial_key == Trial("deep:train", 1, flat, "").trial_key
    assert Trial("toys:train", 1, {"x": 0.1, "seed": 0}, "").trial_key == "4ba6c18e823c2201"


@pytest.mark.slow
def test_nested_parameters_reach_the_function_and_mlflow_by_their_names(write: Write, store: str, sweep) -> None:
    path = write(NESTED + "seeds: [1]\n", "deep.yaml")
    assert sweep("launch", path, "--set", "optimizer.lr=0.25", "--executor", "inline").returncode == 0
    (run,) = children(store, "deep")
    assert run.data.params["optimizer.lr"] == "0.25"
    assert run.data.params["optimizer.warmup.steps"] == "30"
    assert run.data.metrics["loss"] == 0.75
    assert (run.data.metrics["steps"], run.data.metrics["batch"]) == (30, 16)


def test_conditions_zip_and_reference_take_the_same_names(write: Write) -> None:
    path = write(
        "trial: deep:train\nparameters:\n  optim: {parameters: {lr: {values: [0.1, 0.2], when: {batch-size: 4}}}}\n"
        "zip: {batch-size: [4, 8], optimizer.wd: [0.0, 1.0]}\n"
        "reference: {source: a paper, rows: [{batch-size: 4, optim.wd: 0.0, loss: 1.0}]}\n"
    )
    spec = load(path)
    assert [trial.params["optimizer.lr"] for trial in expand(spec).trials] == [0.1, 0.2, 0.5]
    assert spec.reference
    assert spec.reference.rows[0].params == {"batch_size": 4, "optimizer.weight_decay": 0.0}


def test_a_search_varies_nested_parameters(write: Write) -> None:
    text = "trial: deep:train\nmethod: random\nrun_cap: 3\nparameters:\n  optimizer:\n    parameters:\n"
    spec = load(write(f"{text}      lr: {{min: 0.001, max: 1.0, distribution: log_uniform_values}}\n"))
    assert isinstance(spec.domains["optimizer.lr"], Range)
    assert len({trial.params["optimizer.lr"] for trial in expand(spec).trials}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "parameters:\n  optimizer:\n    parameters:\n      lrr: 1",
            r"toy.yaml:5: parameters.optimizer.parameters.lrr: unknown parameter of deep:train; "
            r"did you mean optimizer.lr\?",
        ),
        (
            "parameters:\n  optimizer: {parameters: {lr: 1.0}, values: [1]}",
            r"parameters.optimizer.values: does not go with nested `parameters`",
        ),
        (
            "parameters:\n  batch-size: 1\n  batch_size: 2",
            r"toy.yaml:4: parameters.batch_size: batch_size is given twice, under two spellings",
        ),
        ("parameters: {optimizer.lr: 1.0}\nzip: {optim.lr: [1.0]}", r"zip.optim.lr: is also given under parameters"),
        ("parameters: {optim.wd: {values: [-1.0]}}", r"optim.wd.values\[0\]: input should be greater than"),
    ],
)
def test_a_mistake_in_a_name_is_said_where_it_stands(write: Write, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(write(f"trial: deep:train\n{text}\n"))


def test_an_alias_of_two_parameters_is_refused(write: Write, folder: Path) -> None:
    source = CONFIG.replace("seed: int = 0", 'seed: Annotated[int, Field(alias="batch_size")] = 0')
    (folder / "doubled.py").write_text(source)
    with pytest.raises(InputError, match="doubled:train: batch_size means two parameters, batch_size and seed"):
        load(write("trial: doubled:train\n"))


@pytest.mark.slow
def test_editors_accept_dashed_names() -> None:
    document = json.loads(schema.text())
    jsonschema.validate({"parameters": {"batch-size": {"values": [64, 128]}}}, document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"parameters": {"batch-sizes": 64}}, document)
