"""W&B's sweep files as they are: tests/wandb_files/by_file.py wrote what W&B's engine and agent make of each."""

import itertools
import json
import random
import shlex
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from scipy.stats import chisquare, ks_2samp

from orchestrator.programs.command import MACROS, json_text
from orchestrator.programs.environment import CONFIG, Environment
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.form import SweepFile
from orchestrator.spec.parameter_forms import BetaName, NormalName, RangeName
from orchestrator.spec.pruner_forms import Hyperband
from orchestrator.spec.source import read
from orchestrator.spec.strict import SweepMetricForm
from orchestrator.trials.draws import Draws
from orchestrator.trials.grid import expand

FOLDER = Path(__file__).parent / "wandb_files"
BY_WANDB = json.loads((FOLDER / "expected" / "files.json").read_text())
ENVIRONMENT = json.loads((FOLDER / "expected" / "commands.json").read_text())["environment"]
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".yaml", ".yml", ".json"))
GRIDS = [name for name in FILES if BY_WANDB[name]["method"] == "grid"]
DRAWN = [name for name in FILES if BY_WANDB[name]["method"] != "grid"]
DRAWS = 1000
# what starts a program that is no script of Python, where the file gives no command: W&B starts python, which fails
STARTS = {
    "module_alone.yaml": ["/usr/bin/env", "python", "-m", "trainer.cli"],
    "notebook.yaml": ["/usr/bin/env", "python", "-m", "IPython", "--colors=NoColor", "explore.ipynb", "--"],
    "shell_script.yaml": ["/bin/bash", "run.sh"],
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@cache
def loaded(name: str) -> SweepSpec:
    return load(FOLDER / name)


def words(spec: SweepSpec, params: Mapping[str, Any]) -> list[str]:
    program = spec.function.program
    assert program is not None
    return program.command.arguments(program.given(params), ["python"], "config.json", ENVIRONMENT)


def same(value: Any) -> Any:
    """A value without what adding up fractions leaves behind: 0.30000000000000004 is 0.3."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [*map(same, value)]
    return {name: same(part) for name, part in value.items()} if isinstance(value, dict) else value


def texts(params: Mapping[str, Any]) -> str:
    return json.dumps(same(dict(params)), sort_keys=True)


def forms(parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What each parameter of a file is given, nested ones too."""
    for form in parameters.values():
        yield form
        yield from forms(form.get("parameters", {}))


def test_wandb_was_asked_about_every_file() -> None:
    assert [*BY_WANDB] == FILES
    assert len(FILES) >= 60


def test_the_files_have_all_that_the_documentation_has() -> None:
    contents = [read(FOLDER / name).content for name in FILES]
    assert {key for content in contents for key in content} == {
        *SweepFile.model_fields.keys() & {"name", "description", "program", "command", "method", "metric", "run_cap"},
        *("parameters", "early_terminate"),
        *(name for name, field in SweepFile.model_fields.items() if "From W&B" in str(field.description)),
    }
    assert {content["method"] for content in contents} == {"grid", "random", "bayes"}
    metrics = [content["metric"] for content in contents if content.get("metric")]
    assert {key for metric in metrics for key in metric} == SweepMetricForm.model_fields.keys()
    assert {metric.get("goal") for metric in metrics} == {None, "minimize", "maximize"}
    rules = [content["early_terminate"] for content in contents if "early_terminate" in content]
    assert {key for rule in rules for key in rule} == Hyperband.model_fields.keys() - {"metric"}
    commands = {word for content in contents for word in content.get("command") or ()}
    assert commands > {f"${{{name}}}" for name in MACROS}
    assert any("${envvar:" in word for word in commands)
    given = [form for content in contents for form in forms(content["parameters"])]
    distributions = {*get_args(RangeName), *get_args(NormalName), *get_args(BetaName)}
    listed = {"constant", "categorical", "categorical_w_probabilities"}
    assert {form.get("distribution") for form in given} == {None, *distributions, *listed}
    keys = {
        "value",
        "values",
        "probabilities",
        "distribution",
        "min",
        "max",
        "mu",
        "sigma",
        "q",
        "a",
        "b",
        "parameters",
    }
    assert {key for form in given for key in form} == keys


def test_the_files_have_the_forms_of_yaml() -> None:
    raw = {name: (FOLDER / name).read_bytes() for name in FILES}
    assert {Path(name).suffix for name in FILES} == {".yaml", ".yml", ".json"}
    for part in (
        b"\r\n",
        b"\n---\n",
        b"\n...\n",
        b"<<: *",
        b"<<: [",
        b": &",
        b": *",
        b"1e-3",
        b"1_000",
        b"\t",
        b": |\n",
    ):
        assert any(part in text for text in raw.values()), part
    for start in (b"\xef\xbb\xbf", b"%YAML", b"{", b"#"):
        assert any(text.startswith(start) for text in raw.values()), start


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_accepted_and_at_most_its_ignored_keys_are_said(name: str) -> None:
    spec = loaded(name)
    assert spec.function.program is not None
    keys = {"run_cap", "imports"} & {*BY_WANDB[name]["unknown_to_the_engine"]}
    ignored = [warning for warning in spec.warnings if not warning.endswith(": for W&B; ignored")]
    assert ignored == []
    assert len(spec.warnings) <= 1
    assert spec.run_cap is not None or "run_cap" not in keys


@pytest.mark.slow
def test_plan_shows_each_file_with_the_command_lines_of_wandbs_agent(
    sweep: Callable[..., subprocess.CompletedProcess[str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "python").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))
    planned = sweep("plan", *(FOLDER / name for name in FILES))
    assert planned.returncode == 0, planned.stderr
    for name in sorted({*GRIDS} - STARTS.keys()):
        made = BY_WANDB[name]["trials"][0]["words"]
        if b"envvar" not in (FOLDER / name).read_bytes() and all(map(str.isprintable, made)):
            assert shlex.join(made).replace("config.json", "params.json") in planned.stdout, name


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_has_the_trials_of_wandbs(name: str) -> None:
    spec = loaded(name)
    ours = [texts(trial.params) for trial in expand(spec).trials]
    expected = {texts(params) for params in BY_WANDB[name]["grid"]}
    assert len(ours) == len({*ours}) == min(len(expected), spec.run_cap or len(expected))
    assert {*ours} <= expected


@pytest.mark.parametrize("name", FILES)
def test_the_command_line_of_a_trial_is_that_of_wandbs_agent(name: str) -> None:
    spec = loaded(name)
    assert spec.function.program is not None
    for trial in BY_WANDB[name]["trials"]:
        params = [*trial["params"].items()]
        random.Random(0).shuffle(params)  # their order in the file is another
        ours, starts = words(spec, dict(params)), STARTS.get(name)
        assert ours == (trial["words"] if starts is None else starts + trial["words"][3:])
        if "json_file" in trial:
            assert json_text(spec.function.program.given(dict(params))) == trial["json_file"]


@pytest.mark.parametrize("name", FILES)
def test_wandb_in_a_program_finds_the_parameters_that_its_agent_would_give_it(name: str, tmp_path: Path) -> None:
    program = loaded(name).function.program
    assert program is not None
    trial = BY_WANDB[name]["trials"][0]
    Environment.of(program, trial["params"], tmp_path)
    written = yaml.safe_load((tmp_path / CONFIG).read_text())
    assert {key: given["value"] for key, given in written.items() if key != "wandb_version"} == trial["config"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_draws_are_distributed_as_those_of_wandb(name: str) -> None:
    spec = loaded(name)
    drawn = [*itertools.islice(Draws(spec)._combinations, DRAWS)]
    expected = BY_WANDB[name]["distributions"]
    constants = {key: value for key, value in BY_WANDB[name]["trials"][0]["params"].items() if key not in expected}
    assert {key: value for key, value in drawn[0].items() if key not in expected} == constants
    for parameter, made in expected.items():
        values = [values[parameter] for values in drawn]
        if "shares" in made:
            counts = Counter(map(json.dumps, values))
            shares = {json.dumps(value): share for value, share in made["shares"]}
            assert counts.keys() <= shares.keys()
            total = sum(shares.values())
            wanted = [share * DRAWS / total for share in shares.values()]
            assert chisquare([counts[value] for value in shares], wanted).pvalue > 1e-3, parameter
        else:
            assert ks_2samp(values, made["quantiles"]).statistic < 0.065, parameter
            assert {*map(type, values)} == {*map(type, made["quantiles"])}, parameter
