import importlib.metadata
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from orchestrator.cli import app
from orchestrator.commands import again

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
VAR = Path(__file__).parent.parent / "sweeps" / "report" / "var.yaml"

WALK = """
import sys
from orchestrator.cli import app
try:
    app(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
heavy = {"torch", "torchvision", "mlflow", "optuna", "numpy", "scipy"}
print("LOADED", sorted(heavy & sys.modules.keys()))
"""

INTERRUPTED = """
import signal, sys
class Interrupting:
    def find_spec(name, *_):
        if name == "orchestrator.cli":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting)
sys.argv = ["sweep", "--help"]
from orchestrator.__main__ import main
main()
"""


@pytest.mark.parametrize(("before", "status"), [("", 130), ("signal.signal(signal.SIGINT, signal.SIG_IGN)\n", 0)])
def test_ctrl_c_while_modules_are_loaded_ends_in_silence_unless_it_is_ignored(before: str, status: int) -> None:
    code = INTERRUPTED.replace("class", f"{before}class")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["schema"], ["plan", str(VAR)], ["launch", "--help"], ["--version"]])
def test_what_needs_no_heavy_library_loads_none(folder: Path, arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", WALK, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("LOADED []\n")


@pytest.mark.slow
def test_plan_writes_nothing(folder: Path, command: Sweep) -> None:
    before = sorted(folder.rglob("*"))
    done = command("plan", VAR, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0
    assert "to run: 4 of 4" in done.stdout
    assert sorted(folder.rglob("*")) == before


def test_the_version_is_that_of_the_libraries_too(command: Sweep) -> None:
    lines = command("--version").stdout.splitlines()
    assert lines == [
        f"{name} {importlib.metadata.version(name)}" for name in ("vae-sweeps", "torch", "mlflow", "optuna")
    ]


def test_every_call_has_examples_that_can_be_typed() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for name, call in group.commands.items():
        heading, *examples = (call.epilog or "").splitlines()
        assert heading == "Examples:"
        assert examples
        for example in examples:
            program, called, *arguments = shlex.split(example.partition(" > ")[0])
            assert (program, called) == ("sweep", name)
            call.make_context(name, arguments).close()


@pytest.mark.parametrize("name", ["launch", "plan"])
def test_invalid_combinations_are_refused_before_anything_starts(
    folder: Path, write: Write, sweep: Sweep, name: str
) -> None:
    path = write("parameters: {architecture: {values: [conv, fc]}, num_layers: {values: [4, 6]}}")
    done = sweep(name, path)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"sweep: {path}:1: architecture=conv num_layers=6: architecture conv has at most 4 layers, not 6\n"
    )
    assert not (folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["launch", "none.yaml"], "sweep: none.yaml: there is no such file\n"),
        (["launch", "."], "sweep: .: is a directory; name a sweep file in it\n"),
        (
            ["launch", VAR, "--executor", "thread"],
            "sweep: there is no executor thread; available: process, inline, ray, slurm\n",
        ),
        (["launch", VAR, "--set", "vra=1"], "sweep: --set vra=1: unknown parameter vra; did you mean var?\n"),
        (["launch", VAR, "--data-dir", "nowhere"], "sweep: --data-dir nowhere: there is no such folder\n"),
        (["status"], "there is no store yet at sqlite:///"),
        (["ui"], "there is no store yet at sqlite:///"),
        (["report", "var"], "there is no store yet at sqlite:///"),
        (["dashboard", "var"], "there is no store yet at sqlite:///"),
        (["best", "var"], "there is no store yet at sqlite:///"),
        (["lanch", VAR], "No such command 'lanch'"),
        (["launch", VAR, "--workers", "0"], "--workers"),
    ],
)
def test_bad_input_is_exit_2_with_a_line_and_no_traceback(
    folder: Path, sweep: Sweep, arguments: list[object], says: str
) -> None:
    done = sweep(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("sweep: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "uri", ["nonsense://x", pytest.param("sqlite:////proc/nowhere/mlflow.db", marks=pytest.mark.slow)]
)
def test_a_store_that_cannot_be_opened_is_said_in_a_line(write: Write, command: Sweep, uri: str) -> None:
    done = command("launch", write("trial: toys:train"), "--tracking-uri", uri)
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_is_piped_is_not_cut_wrapped_or_coloured(store: str, write: Write, command: Sweep) -> None:
    name = "a name that is quite long and goes on and on for well over a hundred columns " * 2
    path = write(f"name: {name.strip()}\ntrial: toys:train\nparameters: {{x: {{values: [1, 2]}}, mode: nan}}")
    done = command("launch", path, COLUMNS="40", FORCE_COLOR="1")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "loss explosion" in line and "[" not in line]
    assert len(rows) == 2
    assert "\x1b" not in done.stdout


def test_the_store_is_named_again_unless_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///theirs.db")
    assert again.uri_option("sqlite:///theirs.db") == again.uri_option(None) == ""
    assert again.uri_option("sqlite:///our runs.db") == " --tracking-uri 'sqlite:///our runs.db'"


def test_the_command_is_named_whatever_called_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed, other = tmp_path / "sweep", tmp_path / "my sweeps" / "sweep"
    for path in (installed, other):
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    named = {}
    for called in (installed, other, Path("-c"), Path("orchestrator/__main__.py")):
        monkeypatch.setattr(sys, "argv", [str(called), "launch"])
        named[called.parts[-2:]] = again.command()
    assert [*named.values()] == ["sweep", "'my sweeps/sweep'", "sweep", "python -m orchestrator"]
