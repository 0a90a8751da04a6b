"""What a trial function declares is found without its framework, and is all that the orchestrator knows of it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models.declaration import DECLARATION
from orchestrator import functions
from orchestrator.functions import Declaration, FunctionError
from orchestrator.trackers.last_launch import declared

HEAD = "import a_framework_that_is_not_there\nfrom light_config import Config\n"
LIGHT = (
    "from dataclasses import dataclass\n"
    "from orchestrator import Declaration, Metric\n"
    "@dataclass\nclass Config:\n    x: float = 1.0\n    epochs: int = 1\n"
    "ACCURACY = Metric('accuracy', 'maximize')\n"
    "MINE = Declaration(version=3, metrics=(ACCURACY,), stack_by=('x',), export='light_config:out')\n"
    "def out(artifacts, folder): ...\n"
)


@pytest.fixture
def module(folder: Path) -> Callable[[str], None]:
    (folder / "light_config.py").write_text(LIGHT)
    return lambda text: (folder / "heavy.py").write_text(text) and None


def test_a_declaration_that_is_imported_needs_no_import_of_the_function(
    module: Callable[[str], None],
) -> None:
    module(HEAD + "from light_config import MINE\ndef train(config: Config): ...\ntrain.declaration = MINE\n")
    found = functions.find("heavy:train").declaration
    assert (found.version, found.metrics[0].name, found.stack_by) == (3, "accuracy", ("x",))


def test_one_that_stands_beside_the_function_is_found_by_importing_it(module: Callable[[str], None]) -> None:
    module(
        "from light_config import Config\nfrom orchestrator import Declaration\n"
        "def train(config: Config): ...\ntrain.declaration = Declaration(rate='steps')\n"
    )
    assert functions.find("heavy:train").declaration == Declaration(rate="steps")


def test_attributes_of_the_function_complete_its_declaration(module: Callable[[str], None]) -> None:
    module(
        HEAD + "from light_config import OTHER\ndef train(config: Config): ...\n"
        "train.declaration = OTHER\ntrain.version = 7\ntrain.export = print\n"
    )
    (Path("light_config.py")).write_text(LIGHT + "OTHER = Declaration(rate='steps')\n")
    found = functions.find("heavy:train").declaration
    assert found == Declaration(rate="steps", version=7, export="heavy:train.export")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.declaration = MINE\ntrain.version = 7", "its version is in the declaration and also an attribute"),
        ("train.declaration = MINE\ntrain.stack_by = ('epochs',)", "its stack_by is in the declaration and also an"),
        ("train.declaration = Config", "its declaration is not an orchestrator.Declaration"),
        ("train.declaration = Declaration(metrics=('accuracy',))", "its declaration is wrong at metrics.0: "),
        (
            "train.declaration = Declaration(metrics=(Metric('a', 'max'),))",
            "its declaration is wrong at metrics.0.goal",
        ),
        ("train.declaration = Declaration(stack_by='x')", "its declaration is wrong at stack_by: "),
        ("train.declaration = Declaration(prepare='data')", "its prepare is 'data', which is not of the form module:"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused(module: Callable[[str], None], text: str, message: str) -> None:
    light = "from light_config import MINE, Config, Declaration, Metric"
    module(f"{light}\ndef train(config: Config): ...\n{text}\n")
    with pytest.raises(FunctionError, match=message):
        functions.find("heavy:train")


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ("stack_by=('y',)", "stack_by"),
        ("pace=('y',)", "pace"),
        (
            "incomparable=(Incomparable(metrics=(), between=('y',), reason='is odd', instead=()),)",
            "incomparable",
        ),
    ],
)
def test_a_parameter_that_there_is_not_is_refused(module: Callable[[str], None], part: str, field: str) -> None:
    module(
        "from light_config import Config\nfrom orchestrator import Declaration, Incomparable\n"
        f"def train(config: Config): ...\ntrain.declaration = Declaration({part})\n"
    )
    with pytest.raises(FunctionError, match=f"its {field} names y, which is not one of its parameters"):
        functions.find("heavy:train")


def test_what_watching_a_sweep_needs_of_a_declaration_stands_in_the_store() -> None:
    kept = json.loads(declared(DECLARATION))
    assert kept == {
        "training_losses": ["train_loss", "loss"],
        "validation_losses": ["val_loss"],
        "rate": "images_per_second",
        "pace": ["dataset", "architecture", "num_layers", "batch_size", "precision"],
    }


def test_the_vaes_functions_are_where_its_declaration_says(folder: Path) -> None:
    for part in ("prepare", "stacked", "export"):
        assert callable(functions.attached(functions.default_trial(), part)), part
    assert functions.attached(functions.find("toys:train"), "prepare") is None


def test_every_parameter_and_every_field_of_a_declaration_has_its_meaning_written_down() -> None:
    for kind in (Declaration, *{type(part) for part in vars(DECLARATION).values() if dataclasses.is_dataclass(part)}):
        for field in dataclasses.fields(kind):
            assert f"{field.name}:" in (kind.__doc__ or ""), (kind, field.name)
