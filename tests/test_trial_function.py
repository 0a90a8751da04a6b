import sys
from pathlib import Path

import pytest

from orchestrator import functions
from orchestrator.functions import FunctionError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "light_config.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n"
    )

    def write(source: str) -> None:
        (tmp_path / "heavy.py").write_text(source)

    yield write
    for name in ("heavy", "light_config"):
        sys.modules.pop(name, None)


HEAD = "from light_config import Config\nraise_if_imported = 1 / 0\n"


def test_a_config_in_a_module_of_its_own_is_found_without_importing_the_function(module) -> None:
    module(HEAD + "def train(config: Config): ...\n")
    assert list(functions.find("heavy:train").parameters) == ["x"]
    assert "heavy" not in sys.modules


def test_the_version_is_read_from_the_source(module) -> None:
    module(HEAD + "def train(config: Config): ...\ntrain.version = 7\n")
    assert functions.find("heavy:train").version == 7
    module(HEAD + "def train(config: Config): ...\n")
    assert functions.find("heavy:train").version == 1


def test_what_trials_of_a_stack_may_differ_in_is_read_from_the_source(module) -> None:
    module(HEAD + "def train(config: Config): ...\ntrain.stack_by = ('x',)\n")
    assert functions.find("heavy:train").declaration.stack_by == ("x",)
    module(HEAD + "def train(config: Config): ...\n")
    assert functions.find("heavy:train").declaration.stack_by == ()
    module("from light_config import Config\ndef train(config: Config): ...\ntrain.stack_by = tuple('x')\n")
    assert functions.find("heavy:train").declaration.stack_by == ("x",)


def test_a_stack_by_that_is_no_parameter_is_said(module) -> None:
    module(HEAD + "def train(config: Config): ...\ntrain.stack_by = ('x', 'y')\n")
    with pytest.raises(FunctionError, match="heavy:train: its stack_by names y, which is not one of its parameters"):
        functions.find("heavy:train")


def test_what_the_source_does_not_tell_is_learned_by_importing(module) -> None:
    module("from light_config import Config\ndef train(config: Config): ...\ntrain.version = 3 + 4\n")
    assert functions.find("heavy:train").version == 7


def test_a_module_that_cannot_be_imported_is_said_with_the_cause(module) -> None:
    module("x = 1 / 0\n@staticmethod\ndef train(config): ...\n")
    with pytest.raises(FunctionError, match="heavy:train cannot be loaded: ZeroDivisionError"):
        functions.find("heavy:train")
    module("def train(config:\n")
    with pytest.raises(FunctionError, match=r"heavy.py:\d: "):
        functions.find("heavy:train")


@pytest.mark.parametrize(
    "source",
    [
        "from missing_module import Config\ndef train(config: Config): ...\n",
        "import sys\nsys.exit(0)\n@staticmethod\ndef train(config): ...\n",
        "def train(config: 'Nowhere'): ...\n",
        "from dataclasses import dataclass\nfrom collections.abc import Callable\n@dataclass\nclass C:\n"
        "    f: Callable[[], int] = len\ndef train(config: C): ...\n",
        "train = 5\n",
    ],
)
def test_what_cannot_be_read_is_said_and_nothing_else_happens(module, source: str) -> None:
    module(source)
    with pytest.raises(FunctionError):
        functions.find("heavy:train")


SETS = ["train.version: int = 7", "setattr(train, 'version', 7)", "if True:\n    train.version = 7"]


@pytest.mark.parametrize("version", SETS)
def test_a_version_that_is_set_in_another_way_is_found_by_importing(module, version: str) -> None:
    module(f"from light_config import Config\ndef train(config: Config, /): ...\n{version}\n")
    assert functions.find("heavy:train").version == 7


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{}['missing']", "KeyError: 'missing'"),
        ("raise Stop('so it is\\n\\x1b[2Jsaid')", r"Stop: so it is \\x1b\[2Jsaid"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise Unsayable()", "Unsayable"),
        ("raise Stop('x' * 10_000)", "Stop: x{2000}[.]{3}"),
    ],
)
def test_an_error_of_the_users_own_check_is_a_mistake_of_the_combination(module, check: str, said: str) -> None:
    module(
        "from dataclasses import dataclass\nclass Stop(BaseException): ...\n"
        "class Unsayable(Exception):\n    __str__ = None\n@dataclass\nclass C:\n    x: int = 0\n"
        f"    def __post_init__(self): {check}\ndef train(config: C): ...\n"
    )
    with pytest.raises(ValueError, match=f"^{said}$"):
        functions.find("heavy:train").resolve({})


def test_the_version_changes_the_identity_of_a_trial() -> None:
    from orchestrator.trial import Trial

    first, second = (Trial("m:f", version, {"x": 1, "seed": 0}, "") for version in (1, 2))
    assert first.trial_key != second.trial_key
    assert first.config_key != second.config_key
    assert first.config_key == Trial("m:f", 1, {"x": 1, "seed": 5}, "").config_key


def test_the_vae_is_found_with_its_ranges() -> None:
    found = functions.find("models.train:train")
    assert found.parameters["var"].schema["exclusiveMinimum"] == 0
    assert found.parameters["architecture"].schema["enum"] == ["conv", "fc", "attention"]
    assert found.resolve({})["lr"] == 5e-3
