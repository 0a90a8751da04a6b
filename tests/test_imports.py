"""The direction of imports, and who may import what: docs/design.md, "Imports point down"."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "models").rglob("*.py")])

# From the bottom up; a module imports only from floors below its own, or from its own package.
FLOORS = [
    {"errors", "infeasible", "integrations", "trial"},
    {"system"},
    {"events", "places", "stacking"},
    {"programs"},
    {"functions"},
    {"divergence", "workspace"},
    {"spec", "worker"},
    {"executors", "schema", "trials"},
    {"comparison", "progress", "pruners", "requests"},
    {"samplers", "settings"},
    {"trackers"},
    {"called", "chosen", "prior"},
    {"more", "plan", "reports"},
    {"conclusion", "frames", "going_on", "history", "rerun"},
    {"documents"},
    {"terminal"},
    {"live_report", "notification", "replay", "sweep"},
    {"launching"},
    {"mcp"},
    {"api", "commands"},
    {"cli"},
    {"__main__"},
]
LONGEST_FILE = 330  # lines
OF_A_WORKER = {"divergence", "events", "infeasible", "system", "trial", "functions", "programs", "worker"}
ONLY_IN = {
    "mlflow": ["orchestrator/trackers/", "models/export.py"],
    "ray": ["orchestrator/executors/ray/"],
    "optuna": ["orchestrator/samplers", "orchestrator/pruners"],
    "altair": ["orchestrator/reports/"],
    "vl_convert": ["orchestrator/reports/"],
    "matplotlib": ["models/"],
    "jinja2": ["orchestrator/reports/"],
    "yaml": ["orchestrator/spec/"],
    "torch": ["models/", "orchestrator/integrations/"],
    "torchvision": ["models/"],
    "skimage": ["models/"],
    "sklearn": ["models/"],
    "cloudpickle": ["orchestrator/functions/pickling.py"],
    "greenlet": ["orchestrator/worker/callback.py"],
    "lightning": ["orchestrator/integrations/lightning.py"],
    "pytorch_lightning": ["orchestrator/integrations/lightning.py"],
    "transformers": ["orchestrator/integrations/huggingface.py"],
    "mcp": ["orchestrator/mcp/"],
    "keras": ["orchestrator/integrations/keras.py"],
}


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(path: Path) -> str:
    """The name by which a file is imported."""
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def module(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().split("/")[1]


def floor(name: str) -> int:
    return next(i for i, names in enumerate(FLOORS) if name in names)


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name != "models" and p.name != "__init__.py"], ids=str)
def test_imports_of_the_orchestrator_point_down(path: Path) -> None:
    for name in imports(path):
        package, _, rest = name.partition(".")
        assert package != "models", f"{path} imports the models, which a sweep reaches by name alone"
        if package == "orchestrator" and rest:
            imported = rest.split(".")[0]
            assert imported == module(path) or floor(imported) < floor(module(path)), f"{path} imports {name}"


def test_a_worker_knows_nothing_of_mlflow_or_yaml() -> None:
    for path in (ROOT / "orchestrator" / "worker").glob("*.py"):
        for name in imports(path):
            package, _, rest = name.partition(".")
            assert package not in ("mlflow", "yaml"), f"{path} imports {name}"
            if package == "orchestrator" and rest:
                assert rest.split(".")[0] in OF_A_WORKER, f"{path} imports {name}"


def test_models_know_of_the_orchestrator_how_to_declare_themselves_alone() -> None:
    for path in (ROOT / "models").rglob("*.py"):
        known = {name for name in imports(path) if name.split(".")[0] == "orchestrator"}
        allowed = path.name == "declaration.py"
        assert all(allowed and name.startswith("orchestrator.functions.declaration") for name in known), path


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {dotted(path) for path in FILES}
    graph = {}
    for path in FILES:
        # a package's __init__ has the protocol that its modules keep
        own = {"orchestrator", dotted(path.parent), dotted(path)}
        graph[dotted(path)] = names.intersection(imports(path)) - own
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    for path in FILES:
        if any(name.split(".")[0] == library for name in imports(path)):
            place = path.relative_to(ROOT).as_posix()
            assert any(place.startswith(allowed) for allowed in ONLY_IN[library]), f"{place} imports {library}"


def test_the_training_config_and_its_declaration_import_no_torch() -> None:
    code = "import sys, models.config, models.declaration; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_two_classes_of_the_orchestrator_share_a_name() -> None:
    trees = [ast.parse(path.read_text()) for path in FILES]
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_no_file_of_the_orchestrator_is_too_long_to_have_one_job() -> None:
    sizes = {str(path): len(path.read_text().splitlines()) for path in FILES}
    assert {path: size for path, size in sizes.items() if size > LONGEST_FILE} == {}
