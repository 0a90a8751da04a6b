"""What a search method is stands in one place: a new one is an entry there, and nothing else asks for one by name."""

import ast
import json
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

import orchestrator
from orchestrator.errors import InputError
from orchestrator.schema import text as schema_text
from orchestrator.spec import load
from orchestrator.spec.methods import METHODS, Method, OptunaSampler, named, names

ROOT = Path(__file__).parent.parent
SWEEP = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: 6
seed: 3
parameters:
  x: {{min: 0.1, max: 1.0}}
  mode: {{values: [fine, nan]}}
"""
AT_RANDOM = Method("at_random", "draws as Optuna does", OptunaSampler("optuna.samplers:RandomSampler"), ("rnd",))


@pytest.fixture
def at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, AT_RANDOM.name, AT_RANDOM)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["at_random", "rnd"])
def test_a_sampler_of_optunas_is_one_entry(write: Callable[..., Path], store: str, at_random: None, name: str) -> None:
    path = write(SWEEP.format(method=name))
    trials = orchestrator.launch(path, workers=1, tracking_uri=store, quiet=True).trials
    study = optuna.create_study()
    expected = []
    for number in range(6):
        seed = int(np.random.SeedSequence((3, number)).generate_state(1)[0])
        study.sampler = optuna.samplers.RandomSampler(seed=seed)
        asked = study.ask({"x": FloatDistribution(0.1, 1.0), "mode": CategoricalDistribution(range(2))})
        expected.append((asked.params["x"], ("fine", "nan")[asked.params["mode"]]))
    assert sorted(zip(trials["x"], trials["mode"], strict=True)) == sorted(expected)
    assert dict(zip(trials["mode"], trials["outcome"], strict=True)) == {"fine": "completed", "nan": "loss explosion"}
    assert load(path).method is AT_RANDOM


def test_an_entry_is_in_the_schema_and_in_what_is_said_of_a_misspelled_one(
    write: Callable[..., Path], at_random: None
) -> None:
    assert {"at_random", "rnd", "bayes", "tpe"} <= set(json.loads(schema_text())["properties"]["method"]["enum"])
    with pytest.raises(InputError, match=r"'at_random'; did you mean at_random\?"):
        load(write(SWEEP.format(method="at_randm")))


def test_a_method_is_found_by_each_of_its_names() -> None:
    assert named("bayes") is named("auto") is METHODS["auto"]
    assert len(set(names())) == len(names())
    for name in names():
        assert name in named(name).names


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_what_proposes_is_there(method: Method) -> None:
    if isinstance(method.sampler, str):
        assert callable(pkgutil.resolve_name(method.sampler))
        return
    assert callable(pkgutil.resolve_name(method.sampler.made_by))
    assert not method.sampler.candidates_by or callable(pkgutil.resolve_name(method.sampler.candidates_by))


def asked_by_name(source: str) -> Iterator[str]:
    """The methods' names with which something is compared, or by which something is looked up."""
    for node in ast.walk(ast.parse(source)):
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        cases = [node.value] if isinstance(node, ast.MatchValue) else []
        keys = [node.slice] if isinstance(node, ast.Subscript) else []
        for side in (*sides, *cases, *keys):
            yield from (one.value for one in ast.walk(side) if isinstance(one, ast.Constant) and one.value in names())


def test_nothing_asks_for_a_method_by_its_name() -> None:
    assert list(asked_by_name("if a == 'grid' or b in ('random', 'c') or METHODS['tpe']: pass")) == [
        "grid",
        "random",
        "tpe",
    ]
    for path in (ROOT / "orchestrator").rglob("*.py"):
        assert not list(asked_by_name(path.read_text())), path
