"""Edited code is noticed, what is to run anew runs anew, and what is run beside a sweep leaves the sweep alone."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import artifacts, children

from orchestrator import functions
from orchestrator.functions import Declaration, FunctionError, Modules
from orchestrator.spec import load
from orchestrator.system import code as code_module
from orchestrator.system import provenance
from orchestrator.system.code import Code, first_of
from orchestrator.system.paths import redacted
from orchestrator.trackers import Tracker, replacement
from orchestrator.trial import Params

Sweep = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]
MINE = """
from dataclasses import dataclass
import settings

@dataclass
class Config:
    lr: float = 0.1
    seed: int = 0

def train(config: Config):
    for epoch in (1, 2):
        yield {"epoch": epoch, "f1": config.lr * settings.WIDTH}
"""
GRID = "trial: mine:train\nmetric: {name: f1, goal: maximize}\nparameters: {lr: {values: [1, 2]}}\n"


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def mine(folder: Path) -> Path:
    """A trial function with a module beside it."""
    put(folder, {"mine.py": MINE, "settings.py": "WIDTH = 1.0\n"})
    return folder


def edit(folder: Path, width: float) -> None:
    (folder / "settings.py").write_text(f"WIDTH = {width}\n")


def counting(store: str, name: str) -> list[Run]:
    return [run for run in children(store, name) if "replaced_by" not in run.data.tags]


def test_code_is_what_is_imported_from_beside(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "train.py": "import numpy, settings\nfrom orchestrator import report\n\ndef f():\n from net.parts import a",
            "settings.py": "import train  # in a circle\n",
            "net/__init__.py": "from . import first",
            "net/first.py": "from .parts.deep import b as c",
            "net/parts/__init__.py": "",
            "net/parts/a.py": "from ..second import x\nfrom ... import nothing",
            "net/parts/deep.py": "this is no Python",
            "net/second.py": "",
            "net/unused.py": "",
            "numpy_of_mine.py": "",
            "orchestrator.py": "",
        },
    )
    code = Code.of(["train"], first_of([tmp_path]))
    parts = ["net/__init__.py", "net/first.py", "net/parts/__init__.py", "net/parts/a.py", "net/parts/deep.py"]
    assert [*code.files] == [*parts, "net/second.py", "settings.py", "train.py"]


@pytest.mark.parametrize("edited", ["train.py", "settings.py"])
@pytest.mark.parametrize("text", ["import settings\n# a comment\n", "import settings\n\n", "import settings; x = 1\n"])
def test_the_digest_is_of_the_text(tmp_path: Path, edited: str, text: str) -> None:
    put(tmp_path, {"train.py": "import settings\n", "settings.py": ""})
    before = Code.of(["train"], first_of([tmp_path]))
    assert before.digest == Code.of(["train"], first_of([tmp_path])).digest is not None
    put(tmp_path, {edited: text})
    assert Code.of(["train"], first_of([tmp_path])).digest != before.digest


def test_code_that_is_gone_has_no_digest(tmp_path: Path) -> None:
    put(tmp_path, {"train.py": ""})
    code = Code.of(["train"], first_of([tmp_path]))
    (tmp_path / "train.py").unlink()
    assert code.digest is Code({}).digest is None


def test_the_default_trial_has_the_modules_that_it_imports() -> None:
    files = functions.default_trial().code.files
    assert {"models/train.py", "models/vae.py", "models/loss.py", "models/config.py"} <= files.keys()
    assert all(name.startswith("models/") for name in files)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=me", "-c", "user.email=me", *arguments], check=True)


def commit(folder: Path, files: dict[str, str]) -> None:
    put(folder, files)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        git(folder, *arguments)


def test_the_diff_has_what_no_commit_has_and_no_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, {"train.py": "import new\nx = 1\n", "same.py": ""})
    put(tmp_path, {"train.py": "import new\nx = 2\nimport same\n", "new.py": "URL = 'http://me:secret@host/'\n"})
    code = Code.of(["train"], first_of([tmp_path]))
    diff = code.diff(tmp_path)
    assert "-x = 1\n+x = 2\n+import same\n" in diff
    assert "+++ b/new.py\n" in diff
    assert ("secret" in diff, "http://host/" in diff, "same.py" in diff) == (False, True, False)
    monkeypatch.setattr(code_module, "LONGEST_DIFF", 20)
    assert code.diff(tmp_path) == f"{diff[:20]}\n... and {len(diff) - 20} characters more\n"


def test_the_diff_makes_the_code_from_the_commit_whatever_git_is_told(tmp_path: Path) -> None:
    old, clone = tmp_path / "old", tmp_path / "clone"
    commit(old, {"sub/train.py": "import new, 模\nx = 1\n", "sub/模.py": "w = 1\r\n"})
    git(tmp_path, "clone", "-q", str(old), str(clone))
    for name, value in (("color.ui", "always"), ("diff.noprefix", "true"), ("diff.external", "false")):
        git(old, "config", name, value)
    edited = {"sub/train.py": "import new, 模\nx = 2\n", "sub/new.py": "import last\na = '\x0c\u2028'"}
    put(old, edited | {"sub/last.py": "b = 1"})
    (old / "sub/模.py").write_bytes(b"w = 2\r\n")
    diff = tmp_path / "diff"
    diff.write_bytes(Code.of(["train"], first_of([old / "sub"])).diff(old / "sub").encode())
    git(clone, "apply", str(diff))
    names = sorted(path.name for path in (old / "sub").iterdir())
    assert names == sorted(path.name for path in (clone / "sub").iterdir())
    assert all((clone / "sub" / name).read_bytes() == (old / "sub" / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://me:secret@host/db", "postgresql://host/db"),
        ("postgresql://me:se/cret@host/db", "postgresql://host/db"),
        ("mysql+pymysql://me:p@secret@host", "mysql+pymysql://host"),
        ("'redis://:secret@a', \"https://secret@b/c.git\"", "'redis://a', \"https://b/c.git\""),
        ("postgresql:///db?user=me&password=secret&host=h", "postgresql:///db?user=me&password=***&host=h"),
        ("https://host/x?API_KEY=secret#top", "https://host/x?API_KEY=***#top"),
        ("f'{base}?token=secret'", "f'{base}?token=***'"),
        ("y = a//b@c", "y = a//b@c"),
        ("http://host:80/a b@c", "http://host:80/a b@c"),
        ("{'a':'http://host:80/','b':'c@d'}", "{'a':'http://host:80/','b':'c@d'}"),
        ("sqlite:////a@b/c:d@e.db", "sqlite:////a@b/c:d@e.db"),
    ],
)
def test_what_is_secret_in_a_uri_is_left_out_and_nothing_else(text: str, said: str) -> None:
    assert redacted(text) == said


def test_packages_are_listed_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = '{"url": "git+https://me:secret@host/a.git"}'
    plain, other = {"METADATA": "Name: b\nVersion: 2\n"}, {"PKG-INFO": "Name: a\nVersion: 1.0\nSummary: x"}
    found = [SimpleNamespace(read_text=texts.get) for texts in (plain, other | {"direct_url.json": origin}, plain, {})]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
    assert provenance.packages() == ["a==1.0 @ git+https://host/a.git", "b==2"]


SINCE = """
from declared import Config{more}

def train(config: Config):
    yield {{"epoch": 1, "f1": config.lr}}

{attributes}
"""
OLD = "from dataclasses import dataclass\n\n@dataclass\nclass Config:\n    lr: float = 0.1\n    seed: int = 0\n"
NEW = OLD + "    dropout: float = 0.0\n"


def function_of(folder: Path, attributes: str, config: str = NEW) -> functions.TrialFunction:
    more = ", DECLARATION" if "DECLARATION" in attributes else ""
    declared = "from orchestrator import Declaration\nDECLARATION = Declaration(version=1, since={'dropout': 2})\n"
    put(folder, {"mine.py": SINCE.format(more=more, attributes=attributes), "declared.py": config + declared})
    for name in ("mine", "declared"):
        sys.modules.pop(name, None)
    return functions.find("mine:train", Modules((str(folder),)))


@pytest.mark.parametrize(
    "attributes",
    ["train.since = {'dropout': 2}", "train.declaration = DECLARATION", "setattr(train, 'since', dict(dropout=2))"],
)
def test_a_newer_parameter_leaves_trials_what_they_were_while_it_has_its_default(
    tmp_path: Path, attributes: str
) -> None:
    def key(function: functions.TrialFunction, **values: object) -> str:
        return function.trial(function.resolve(values), "").trial_key

    before = key(function_of(tmp_path, "", OLD), lr=0.2)
    function = function_of(tmp_path, attributes)
    assert key(function, lr=0.2) == before
    assert (
        function.trial(function.resolve({"lr": 0.2, "seed": 1}), "").config_key
        == function.trial(function.resolve({"lr": 0.2}), "").config_key
    )
    assert key(function, lr=0.2, dropout=0.5) != before
    assert function.takes({"lr": 0.2, "seed": 0})
    assert function.completed({"lr": 0.2, "seed": 0}) == {"lr": 0.2, "seed": 0, "dropout": 0.0}
    assert key(function_of(tmp_path, ""), lr=0.2) != before
    second = function_of(tmp_path, "train.version = 2\ntrain.since = {'dropout': 2}")
    assert not second.takes({"lr": 0.2, "seed": 0})
    plain: Params = function_of(tmp_path, "train.version = 2").resolve({"lr": 0.2})
    assert key(second, lr=0.2) == function_of(tmp_path, "train.version = 2").trial(plain, "").trial_key


@pytest.mark.parametrize(
    ("attributes", "mistake"),
    [
        ("train.since = {'droput': 2}", "its since names droput, which is not one of its parameters"),
        ("train.since = {'dropout': '2'}", "its since is a mapping from parameters to versions"),
        ("train.since = ['dropout']", "its since is a mapping from parameters to versions"),
        ("train.since = {'rate': 2}", "its since names rate, which has no default"),
    ],
)
def test_what_since_says_is_checked(tmp_path: Path, attributes: str, mistake: str) -> None:
    config = OLD.replace("    lr:", "    rate: float\n    lr:") if "rate" in attributes else NEW
    with pytest.raises(FunctionError, match=mistake):
        function_of(tmp_path, attributes, config)


def test_since_is_part_of_the_declaration() -> None:
    assert Declaration(since={"dropout": 2}).since == {"dropout": 2}


@pytest.mark.slow
def test_edited_code_is_said_and_runs_anew_where_that_is_asked_for(
    mine: Path, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID)
    assert sweep("launch", path, "--workers", 1).returncode == 0
    assert "changed" not in sweep("plan", path).stdout + sweep("best", path).stdout
    edit(mine, 3)
    said = "mine:train has changed since 2 trials ended"
    planned = sweep("plan", path).stdout
    assert (said in planned, planned.count("done: completed (with other code)")) == (True, 2)
    launched = sweep("launch", path, "--workers", 1).stdout
    assert (said in launched, launched.count("before ("), "started" in launched) == (True, 2, False)
    assert said in sweep("best", path).stdout
    assert sweep("report", path, "--out", "r").returncode == 0
    report = (mine / "r" / "report.md").read_text()
    assert (said in report, "before (" in report) == (True, True)
    old = {run.info.run_id for run in children(store, "toy")}
    again = sweep("launch", path, "--rerun", "--workers", 1)
    assert (again.returncode, again.stdout.count("started"), "before (" in again.stdout) == (0, 2, False)
    assert {run.data.tags["replaces"] for run in counting(store, "toy")} == old
    assert [run.data.metrics["f1"] for run in counting(store, "toy")] == [3, 6]
    assert len(children(store, "toy")) == 4
    assert "changed" not in sweep("plan", path).stdout + sweep("best", path).stdout
    assert "all have the code of now" in sweep("launch", path, "--rerun").stdout
    other = write(GRID + "reuse: true\n", "other.yaml")
    assert "started" not in sweep("launch", other, "--workers", 1).stdout
    assert [run.data.metrics["f1"] for run in children(store, "other")] == [3, 6]
    edit(mine, 5)
    assert "started" in sweep("launch", write(GRID + "reuse: true\n", "third.yaml"), "--workers", 1).stdout
    assert [run.data.metrics["f1"] for run in children(store, "third")] == [5, 10]


@pytest.mark.slow
@pytest.mark.parametrize("replaced", [0, 1])
def test_a_launch_that_is_killed_while_it_replaces_runs_goes_on_with_a_plain_one(
    mine: Path, store: str, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, replaced: int
) -> None:
    path = write(GRID)
    sweep("launch", path, "--workers", 1)
    edit(mine, 3)
    replace = replacement.replace

    def killed(*arguments: object) -> None:
        client, parent, experiment, old, tags, sets = arguments
        monkeypatch.setattr(replacement, "replace", replace)

        def first(records: Iterable[object]) -> Iterator[object]:
            yield from islice(records, replaced)
            raise KeyboardInterrupt

        replace(client, parent, experiment, first(old), tags, sets)  # type: ignore[arg-type]

    monkeypatch.setattr(replacement, "replace", killed)
    assert sweep("launch", path, "--rerun", "--workers", 1).returncode == 130
    assert len(children(store, "toy")) == 2 + replaced
    aside = sweep("launch", path, "--set", "lr=9", "--workers", 1)
    assert (aside.returncode, aside.stdout.count("started")) == (0, 1)  # these values were not to run anew
    again = sweep("launch", path, "--workers", 1)
    assert (again.returncode, again.stdout.count("started")) == (0, 2)
    assert [run.data.metrics["f1"] for run in counting(store, "toy")] == [3, 6, 27]
    assert sweep("launch", path, "--workers", 1).stdout.count("started") == 0


@pytest.mark.slow
def test_a_search_runs_the_same_trials_anew_and_what_is_in_the_trash(
    mine: Path, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(
        "trial: mine:train\nmethod: tpe\nrun_cap: 4\nmetric: {name: f1, goal: maximize}\n"
        "parameters: {lr: {min: 0.1, max: 0.9}}\n"
    )
    sweep("launch", path, "--workers", 1)
    first = [run.data.params["lr"] for run in children(store, "toy")]
    edit(mine, 3)
    assert sweep("launch", path, "--rerun", "--workers", 1).stdout.count("started") == 4
    assert [run.data.params["lr"] for run in counting(store, "toy")] == first
    client = MlflowClient(tracking_uri=store)
    client.delete_run(counting(store, "toy")[2].info.run_id)
    assert sweep("launch", path, "--rerun", "--workers", 1).stdout.count("started") == 1
    assert [run.data.params["lr"] for run in counting(store, "toy")] == first


@pytest.mark.slow
def test_a_program_and_what_it_imports_run_anew_too(folder: Path, store: str, write: Write, sweep: Sweep) -> None:
    put(folder, {"settings.py": "WIDTH = 1.0\n"})
    put(folder, {"script.py": "import settings\nprint('epoch=1 f1=%s' % settings.WIDTH)\n"})
    path = write("program: script.py\nparameters: {lr: {values: [1, 2]}}\nmetric: {name: f1, goal: maximize}\n")
    assert sweep("launch", path, "--workers", 1).returncode == 0
    edit(folder, 3)
    assert "script.py has changed since 2 trials ended" in sweep("plan", path).stdout
    assert sweep("launch", path, "--rerun", "--workers", 1).returncode == 0
    assert [run.data.metrics["f1"] for run in counting(store, "toy")] == [3, 3]


@pytest.mark.slow
def test_the_code_and_the_packages_of_a_launch_are_kept_once_unless_the_file_wants_none(
    mine: Path, store: str, write: Write, sweep: Sweep
) -> None:
    sweep("launch", write(GRID), "--workers", 1)
    sweep("launch", write(GRID + "seeds: [0, 1]"), "--workers", 1)
    client = MlflowClient(tracking_uri=store)
    runs = children(store, "toy")
    parent = client.get_run(runs[0].data.tags["mlflow.parentRunId"])
    kept = {run.data.tags[tag] for run in runs for tag in ("code.diff", "code.packages")}
    assert artifacts(store, parent, "code") == kept
    assert len(kept) == 2
    texts = [Path(client.download_artifacts(parent.info.run_id, name)).read_text() for name in kept]
    assert any("+WIDTH = 1.0\n" in text for text in texts)
    assert any(f"mlflow=={importlib.metadata.version('mlflow')}\n" in text for text in texts)
    sweep("launch", write(GRID + "record_code: false\n", "none.yaml"), "--workers", 1)
    (first, _) = children(store, "none")
    assert artifacts(store, client.get_run(first.data.tags["mlflow.parentRunId"]), "code") == set()
    assert ("code.digest" in first.data.tags, "code.diff" in first.data.tags) == (True, False)


@pytest.mark.slow
def test_what_is_run_with_other_values_leaves_the_table_alone(
    mine: Path, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID)
    sweep("launch", path, "--workers", 1)
    client = MlflowClient(tracking_uri=store)
    parent = client.get_run(children(store, "toy")[0].data.tags["mlflow.parentRunId"])

    def tags() -> dict[str, str]:
        return dict(client.get_run(parent.info.run_id).data.tags)

    before = tags()
    aside = sweep("launch", path, "--set", "lr=9", "--workers", 1)
    assert (aside.returncode, aside.stdout.count("started"), tags() == before) == (0, 1, True)
    command = sweep("best", path).stdout.split("run it again: ")[1].splitlines()[0].split()
    again = sweep("launch", *command[command.index("launch") + 1 :])
    assert (again.returncode, again.stdout.count("started"), tags() == before) == (0, 1, True)
    (run,) = children(store, "toy-again")
    assert (run.data.params["lr"], run.data.params["seed"]) == ("2.0", "1")  # what was run aside is none of the file's
    assert "--name=toy-again-2" in sweep("best", path).stdout
    write("trial: mine:train\nparameters: {lr: {values: [1, 2]}}\nmetric: {name: f1, goal: maximize}\n", "set.yaml")
    sweep("launch", "set.yaml", "--set", "lr=4", "--workers", 1)
    (first,) = children(store, "set")
    about = client.get_run(first.data.tags["mlflow.parentRunId"])
    assert "4" in about.data.tags["mlflow.note.content"]
    sweep("launch", "set.yaml", "--workers", 1)
    assert client.get_run(about.info.run_id).data.tags["sweep.trials"] == "2"


def test_a_launch_aside_does_not_move_the_model(mine: Path, store: str, write: Write) -> None:
    path = write(GRID)
    for sets, is_aside in (((), False), (("lr=3",), True), ((), False)):
        tracker = Tracker(store, load(path, sets))
        tracker.open(1)
        assert tracker.is_aside == is_aside
        tracker.close("FINISHED")
