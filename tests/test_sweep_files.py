"""Every file under sweeps/: editors can check it, it loads, and it asks for what the report asks."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator import plan
from orchestrator.schema import schema
from orchestrator.spec import load
from orchestrator.trials.grid import expand

NOWHERE = "sqlite:////nowhere/mlflow.db"
SWEEPS = Path(__file__).parent.parent / "sweeps"
FILES = sorted(SWEEPS.rglob("*.yaml"))
CONV = (0.7853706225521735, 0.01890210650534719)  # the row that most tables share
REPORT: dict[str, dict[object, tuple[float, float] | str]] = {  # the report's tables: SSIM and MSE
    "baseline": {0.25: (0.8504231229496682, 0.013352158863545396)},
    "architecture": {"fc": (0.7390947758029213, 0.022465829981012014), "conv": CONV},
    "num_layers": {
        2: (0.7774402835363021, 0.019798182930034738),
        3: CONV,
        4: (0.034549703277560226, 0.16805256211308045),
    },
    "latent_dim": {
        10: (0.7823106862653039, 0.019224410224874245),
        20: CONV,
        30: (0.7791554063858023, 0.0192843736690755),
    },
    "attention": {"attention": (0.7713305797284312, 0.020101515988748507), "conv": CONV},
    "var": {
        0.5: CONV,
        0.25: (0.8504231229496682, 0.013352158863545396),
        0.22: (0.8551499862844326, 0.012753053554755174),
        0.2: "loss explosion",
    },
    "batch_size": {
        512: (0.2421878643554819, 0.018998108870999342),
        1024: CONV,
        2048: (0.7342257578823198, 0.024088800722249677),
    },
    "learning_rate": {
        1e-3: (0.7823671963318102, 0.11204825839159166),
        5e-3: CONV,
        6e-3: (0.7810330007817275, 0.019269545453475496),
    },
}


class Yaml12(yaml.SafeLoader):
    """As editors read YAML: 5e-3 is a number."""


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    __import__("re").compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


@pytest.mark.slow
def test_the_schema_in_the_repository_is_the_one_that_is_printed() -> None:
    assert json.loads((SWEEPS / "sweep.schema.json").read_text()) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_its_schema_validates_and_loads(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).resolve() == SWEEPS / "sweep.schema.json"
    jsonschema.validate(yaml.load(path.read_text(), Yaml12), schema())  # noqa: S506
    assert plan.make(load(path), NOWHERE, None).invalid == ()


@pytest.mark.parametrize("name", REPORT)
def test_every_row_of_the_reports_table_has_its_trial_and_its_figures(name: str) -> None:
    spec = load(SWEEPS / "report" / f"{name}.yaml")
    trials = expand(spec).trials
    assert len(trials) == len(REPORT[name])
    assert spec.reference is not None
    published = {}
    for row in spec.reference.rows:
        assert sum(row.params.items() <= trial.params.items() for trial in trials) == 1
        (value,) = row.params.values()
        published[value] = str(row.outcome) if row.outcome else (row.metrics["ssim"], row.metrics["mse"])
    assert published == REPORT[name]
    common = {"dataset": "mnist", "epochs": 50, "precision": "fp32", "seed": 0}
    assert all(common.items() <= trial.params.items() for trial in trials)


@pytest.mark.slow
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
        {"name": "x" * 201},
        {"time_cap": "90x"},
        {"metrics": [{"name": "val_ssim"}]},
        {"replicates": {"max": 1}},
    ],
)
def test_the_schema_refuses_what_the_command_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


@pytest.mark.slow
def test_the_schema_leaves_parameters_of_other_functions_alone() -> None:
    jsonschema.validate({"trial": "mine:train", "parameters": {"anything": 1}}, schema())


def test_every_key_is_described_at_any_depth() -> None:
    described = [*keys(schema())]
    assert {"on_finish", "post", "distribution", "patience", "var", "q", "risk"} <= {name for name, _ in described}
    assert [name for name, node in described if not node.get("description")] == []


def keys(node: object, name: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """The keys that an editor may be asked about, each with its schema."""
    if isinstance(node, list):
        for part in node:
            yield from keys(part)
    if isinstance(node, dict):
        for key, part in node.items():
            if key == "properties" and name != "then":  # which only adds to keys that are described
                yield from part.items()
            if key != "if":
                yield from keys(part, key)
