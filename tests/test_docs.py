"""What the documents say holds: links lead somewhere, the tree is the tree, the snippets run, messages are quoted."""

import ast
import dataclasses
import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import precision
import pytest
import yaml

from orchestrator import Declaration
from orchestrator.programs.command import MACROS, Command
from orchestrator.programs.environment import Environment
from orchestrator.programs.program import Program
from orchestrator.programs.scripts import command_of
from orchestrator.spec.form import SweepFile
from orchestrator.system import machine

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_a_section_lead_to_a_heading(page: Path) -> None:
    for target, section in re.findall(r"\]\(([^):]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target if target else page).read_text()
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
        assert section in [anchor(heading) for heading in headings], f"{target}#{section}"


def anchor(heading: str) -> str:
    """A heading's name in a link, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    folders = "benchmarks|docs|examples|models|orchestrator|sweeps|tests"
    for name in re.findall(rf"`((?:{folders})/[\w./-]*\w)`", page.read_text()):
        assert (ROOT / name).exists(), name
    packages = "|".join(path.name for path in (ROOT / "orchestrator").iterdir() if (path / "__init__.py").is_file())
    for name in re.findall(rf"`((?:{packages})/\w+\.py)`", page.read_text()):
        assert (ROOT / "orchestrator" / name).exists(), name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_index_has_every_page_once_in_order() -> None:
    index = (DOCS / "README.md").read_text()
    numbers = re.findall(r"^(\d+)\. \[", index, re.MULTILINE)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    linked = re.findall(r"\]\(([\w-]+\.md)\)", index)
    assert sorted(linked) == sorted(page.name for page in DOCS.glob("*.md") if page.name != "README.md")


def test_the_page_on_the_sweep_file_has_every_key() -> None:
    rows = first_cells((DOCS / "sweep-file.md").read_text().split("## All keys")[1].split("\n## ")[0])
    keys = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert sorted(keys) == sorted(SweepFile.model_fields)


def test_the_page_on_trial_functions_has_every_part_of_a_declaration() -> None:
    section = (DOCS / "trial-function.md").read_text().split("## What it may declare")[1].split("\n## ")[0]
    parts = [part for row in first_cells(section) for part in re.findall(r"`(\w+)`", row)]
    assert sorted(parts) == sorted(field.name for field in dataclasses.fields(Declaration))


def test_messages_are_quoted_as_the_program_has_them() -> None:
    """In the tables of the page, `…` stands for what differs; the rest of a message is in one text of the program."""
    cells = first_cells((DOCS / "troubleshooting.md").read_text())
    quoted = [core for cell in cells for core in re.findall("`(.*?)`", cell)]
    modules = [path for package in ("orchestrator", "models") for path in (ROOT / package).rglob("*.py")]
    known = [text for path in modules for text in texts(path)]
    assert len(quoted) >= 60
    for core in quoted:
        assert len(core.replace("…", "").strip(" ;:,.")) >= 5, f"{core}: too little to be found by"
        pattern = re.compile(".*".join(re.escape(part) for part in core.split("…")))
        assert any(pattern.search(text) for text in known), core


def first_cells(text: str) -> list[str]:
    """The first cells of the rows of all tables, without their headings."""
    return [cell for cell in re.findall(r"^\| (.*?) \| ", text, re.MULTILINE) if "`" in cell]


def texts(path: Path) -> list[str]:
    """The texts in a module, but for its docstrings; in those with values in them, … stands for a value."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    whole = [node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings]
    formatted = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
    joined = ["".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in one) for one in formatted]
    return [text for text in [*whole, *joined] if isinstance(text, str)]


def test_messages_are_found_in_texts_with_values_in_them(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('"""Doc."""\nx = f"{name}: there is " f"no {what!r}"\ny = "plain"')
    assert {"…: there is no …", "plain"} <= {*texts(tmp_path / "module.py")}
    assert "Doc." not in texts(tmp_path / "module.py")


def test_the_tree_names_every_module() -> None:
    tree = (DOCS / "design.md").read_text().split("## The tree")[1].split("```")[1]
    modules = [path.name for package in ("models", "orchestrator") for path in (ROOT / package).rglob("*.py")]
    assert Counter(re.findall(r"^ +(\w+\.py) ", tree, re.MULTILINE)) == Counter(
        name for name in modules if name != "__init__.py"
    )


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "design.md").read_text().split("## Dependencies")[1]
    for requirement in [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]:
        name = re.split(r"[<>=\[]", requirement)[0]
        assert name.lower().removeprefix("types-") in reasons.lower(), name


def test_the_table_of_bf16_is_that_of_the_runs() -> None:
    table = precision.table(precision.runs()).markdown().split("\n\n", 1)[1]
    assert table in (ROOT / "docs" / "performance.md").read_text()


@pytest.mark.slow
def test_the_pages_architecture_works_as_it_stands() -> None:
    page = (DOCS / "architecture.md").read_text()
    (vae,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class LinearVAE" in code]
    (entry,) = re.findall(r'^"linear": (.*),$', page, re.MULTILINE)
    program = f"""
import models.config as config
from models.config import Architecture
config.ARCHITECTURES["linear"] = {entry}
import torch
from torch import nn
import models.vae
from models.vae import VAE, build
{vae}
models.vae.LinearVAE = LinearVAE
model = build(config.TrainConfig(architecture="linear", num_layers=1))
assert model(torch.rand(2, 1, 28, 28), torch.randn(2, 20))[0].shape == (2, 1, 28, 28)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_readmes_trial_function_runs_as_it_stands(folder: Path, store: str, sweep: Callable[..., Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    (function,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "def train" in code]
    (file,) = [code for code in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "trial: mine:train" in code]
    (folder / "mine.py").write_text(function)
    (folder / "mine.yaml").write_text(file)
    done = sweep("launch", "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert "mine: best val_accuracy first" in done.stdout
    assert "mine: means over seeds" in done.stdout
    assert re.search(r"completed val_accuracy .*\[9/9\]", done.stdout)


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [code for of, code in found if of == language]


def put(page: Path, folder: Path, yaml_name: str) -> None:
    """Write the script and the sweep file with which a page begins, as a reader would."""
    script = next(code for code in blocks(page, "python") if "import argparse" in code)
    (folder / "train.py").write_text(script)
    (folder / yaml_name).write_text(next(code for code in blocks(page, "yaml") if "program: train.py" in code))


def rows(table: str) -> list[list[str]]:
    """The cells of a table that is printed, by row, without the last one, which has times."""
    lines = [re.split(r" {2,}", line.strip())[:-1] for line in table.splitlines()]
    return [cells for cells in lines if len(cells) > 2]


@pytest.fixture
def activated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the tests, as that of the scripts."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


FROM_WANDB, FROM_A_SCRIPT = DOCS / "from-wandb.md", DOCS / "from-a-script.md"


@pytest.mark.slow
@pytest.mark.usefixtures("activated")
def test_the_page_from_wandb_is_what_a_reader_sees(folder: Path, store: str, sweep: Callable[..., Any]) -> None:
    put(FROM_WANDB, folder, "sweep.yaml")
    done = sweep("launch", "sweep.yaml", "--workers", "2")
    assert done.returncode == 0, done.stderr
    lines, table = blocks(FROM_WANDB, "")[-2:]
    for line in lines.splitlines():
        assert re.sub(r" \[\d/6\]", "", line) in done.stdout + done.stderr
    assert [row for row in rows(table) if row not in rows(done.stdout)] == []
    again = sweep("launch", "sweep.yaml")
    assert "started" not in again.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("activated")
@pytest.mark.parametrize("page", [FROM_A_SCRIPT, ROOT / "README.md"], ids=lambda page: page.name)
def test_the_first_script_of_a_page_runs_as_it_stands(
    page: Path, folder: Path, store: str, sweep: Callable[..., Any]
) -> None:
    put(page, folder, "digits.yaml")
    planned = sweep("plan", "digits.yaml")
    assert "alpha=0.0001 seed=0: /usr/bin/env python train.py --alpha=0.0001 --seed=0" in planned.stdout
    done = sweep("launch", "digits.yaml")
    assert done.returncode == 0, done.stderr
    assert "metrics of train.py: from the lines that it prints" in done.stdout
    assert re.search(r"completed val_accuracy .*\[9/9\]", done.stdout)
    assert "digits: means over seeds" in done.stdout
    logs = [path.read_text() for path in folder.glob("mlruns/artifacts/digits/*/artifacts/log.txt")]
    assert len(logs) == 9
    assert all("val_accuracy=" in log for log in logs)
    (folder / "train.py").write_text("# changed\n")
    assert (
        "train.py has changed since 9 trials ended; what has a result keeps it" in sweep("plan", "digits.yaml").stdout
    )


def test_the_page_on_scripts_has_every_macro_and_every_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    page = FROM_A_SCRIPT.read_text()
    macros = page.split("These macros are W&B's")[1].split("```")[0]
    found = [name for cell in first_cells(macros) for name in re.findall(r"\$\{(\w+)", cell)]
    assert sorted(found) == sorted([*MACROS, "envvar"])

    program = Program(Command(("true",), None), folder)
    added = Environment.of(program, {}, folder / "trial").variables(folder / "channel")
    added = {name: value for name, value in added.items() if os.environ.get(name) != value}
    table = first_cells(page.split("## What a program finds")[1].split("\n## ")[0])
    documented = [name for cell in table for name in re.findall(r"`(\w+)", cell)]
    by_the_worker = {*machine.THREAD_VARIABLES, machine.GPU_VARIABLE}
    of_no_interest = {"SWEEP_CHANNEL", "MLFLOW_ALLOW_FILE_STORE"}
    assert sorted(documented) == sorted((added.keys() | by_the_worker) - of_no_interest)


def test_how_the_page_on_scripts_says_that_programs_are_called(folder: Path) -> None:
    for name in ("train.py", "pkg/train.py", "study.ipynb", "train.sh"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "program").write_bytes(b"")
    (folder / "program").chmod(0o755)
    table = FROM_A_SCRIPT.read_text().split("| is called as |")[1].split("\n\n")[0]
    for program, called in re.findall(r"^\| `(.*?)`.* \| .*?`(\$\{env\} \$.*?)` \|$", table, re.MULTILINE):
        assert command_of(None, program, folder).words == tuple(called.split())
    assert command_of(None, "train.sh", folder).words == ("${env}", "bash", "${program}", "${args}")
    assert command_of(None, "program", folder).words == ("./program", "${args}")


def test_the_pages_checkpoint_goes_on_where_it_was(folder: Path) -> None:
    (code,) = [code for code in blocks(FROM_A_SCRIPT, "python") if "SWEEP_WORKDIR" in code]
    environment = {**os.environ, "SWEEP_WORKDIR": str(folder)}

    def epochs() -> list[str]:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return re.findall(r"^epoch (\d+) loss=", done.stdout, re.MULTILINE)

    assert epochs() == [str(epoch) for epoch in range(1, 11)]
    (folder / "state.json").write_text('{"epoch": 7, "loss": 0.2}')
    assert epochs() == ["8", "9", "10"]


@pytest.mark.parametrize("page", [page for page in PAGES if "```yaml" in page.read_text()], ids=lambda page: page.name)
def test_the_yaml_of_a_page_has_keys_of_a_sweep_file_alone(page: Path) -> None:
    for code in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        content = yaml.safe_load(code)
        assert content is None or content.keys() <= SweepFile.model_fields.keys(), code


def test_the_tree_holds_no_path_of_a_machine() -> None:
    listed = subprocess.run(["git", "grep", "-nIE", r"/home/|/Users/|/root/"], cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode in (0, 1), listed.stderr
    assert [line for line in listed.stdout.splitlines() if not line.startswith("tests/test_docs.py")] == []
