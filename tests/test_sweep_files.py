"""Every file under sweeps/: editors can check it, it loads, and it asks for what the report asks."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.expansion import expand
from orchestrator.schema import schema
from orchestrator.spec import load

SWEEPS = Path(__file__).parent.parent / "sweeps"
FILES = sorted(SWEEPS.rglob("*.yaml"))
REPORT = {  # file: how many rows the report's table has
    "baseline": 1,
    "architecture": 2,
    "num_layers": 3,
    "latent_dim": 3,
    "attention": 2,
    "var": 4,
    "batch_size": 3,
    "learning_rate": 3,
}


class Yaml12(yaml.SafeLoader):
    """As editors read YAML: 5e-3 is a number."""


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    __import__("re").compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def test_the_schema_in_the_repository_is_the_one_that_is_printed() -> None:
    assert json.loads((SWEEPS / "sweep.schema.json").read_text()) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_its_schema_validates_and_loads(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).resolve() == SWEEPS / "sweep.schema.json"
    jsonschema.validate(yaml.load(path.read_text(), Yaml12), schema())  # noqa: S506
    assert expand(load(path)).invalid == ()


@pytest.mark.parametrize("name", REPORT)
def test_every_row_of_the_reports_table_has_its_trial_and_its_figures(name: str) -> None:
    spec = load(SWEEPS / "report" / f"{name}.yaml")
    trials = expand(spec).trials
    assert len(trials) == REPORT[name]
    assert spec.reference is not None
    assert len(spec.reference.rows) == REPORT[name]
    for row in spec.reference.rows:
        assert sum(row.params.items() <= trial.params.items() for trial in trials) == 1
    common = {"dataset": "mnist", "epochs": 50, "precision": "fp32", "seed": 0}
    assert all(common.items() <= trial.params.items() for trial in trials)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": {"vra": 1}},
        {"parameters": {"var": 0}},
        {"parameters": {"architecture": "cnov"}},
        {"metod": "grid"},
        {"method": "gird"},
        {"zip": {"vra": [1]}},
        {"configs": [{"lr": -1}]},
        {"name": "../x"},
    ],
)
def test_the_schema_refuses_what_the_command_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


def test_the_schema_leaves_parameters_of_other_functions_alone() -> None:
    jsonschema.validate({"trial": "mine:train", "parameters": {"anything": 1}}, schema())


def test_every_key_is_described() -> None:
    assert all("description" in value for value in schema()["properties"].values())
