"""What the documents say holds: links lead somewhere, the tree is the tree, the snippets run."""

import re
import subprocess
import sys
from pathlib import Path

import precision
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_the_tree_names_every_module() -> None:
    tree = (ROOT / "docs" / "design.md").read_text().split("## The tree")[1].split("```")[1]
    for path in [*(ROOT / "models").rglob("*.py"), *(ROOT / "orchestrator").rglob("*.py")]:
        if path.name != "__init__.py":
            assert re.search(rf"^ +{re.escape(path.name)} ", tree, re.MULTILINE), path


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "design.md").read_text().split("## Dependencies")[1]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name = re.split(r"[<>=\[]", requirement)[0]
        assert name.lower().removeprefix("types-") in reasons.lower(), name


def test_the_table_of_bf16_is_that_of_the_runs() -> None:
    table = precision.table(precision.runs()).markdown().split("\n\n", 1)[1]
    assert table in (ROOT / "docs" / "performance.md").read_text()


def test_the_readmes_architecture_works_as_it_stands() -> None:
    readme = (ROOT / "README.md").read_text()
    (vae,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "class LinearVAE" in code]
    (entry,) = re.findall(r'^"linear": (.*),$', readme, re.MULTILINE)
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


def test_the_tree_holds_no_path_of_a_machine() -> None:
    listed = subprocess.run(["git", "grep", "-nIE", r"/home/|/Users/|/root/"], cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode in (0, 1), listed.stderr
    assert [line for line in listed.stdout.splitlines() if not line.startswith("tests/test_docs.py")] == []
