"""What the shells are told that complete a command."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

CASES = [
    ("sweep la", ["launch"]),
    ("sweep launch --exec", ["--executor"]),
    ("sweep status ", ["another sweep", "first"]),
    ("sweep best f", ["first"]),
    ("sweep init --from report/v", ["report/var"]),
    ("sweep launch m", []),  # a file, which the shell itself looks for
    ("sweep status m", []),
]


@pytest.fixture
def bin_(folder: Path) -> Path:
    """A folder with the command in it, as a wheel installs it."""
    path = folder / "bin" / "sweep"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\nfrom orchestrator.cli import main\nmain()\n")
    path.chmod(0o755)
    for name in ("first", "another sweep"):
        (folder / "mlruns" / "work" / name).mkdir(parents=True)
    (folder / "mine.yaml").touch()
    return path.parent


def answered(bin_: Path, program: list[str], **environment: str) -> list[str]:
    known = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", **environment}
    done = subprocess.run(program, env=known, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.slow
def test_bash_completes_as_it_is_told(bin_: Path) -> None:
    script = subprocess.run(
        ["bash", "-c", "sweep --show-completion || exit"],  # a shell that stays the parent
        env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    asked = "\n".join(
        f"COMP_WORDS=({' '.join(map(shlex.quote, line.split(' ')))}); COMP_CWORD={line.count(' ')}; "
        '_sweep_completion sweep; printf "%s," "${COMPREPLY[@]}"; echo'
        for line, _ in CASES
    )
    told = answered(bin_, ["bash", "-c", f"{script}\n{asked}"])
    assert [sorted(filter(None, line.split(","))) for line in told] == [expected for _, expected in CASES]


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_the_same(bin_: Path, shell: str) -> None:
    for line, expected in (CASES[0], CASES[2], CASES[4], CASES[5]):
        ask = {"_SWEEP_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
        told = " ".join(answered(bin_, ["sweep"], _TYPER_COMPLETE_FISH_ACTION="get-args", **ask))
        assert all(word in told for word in expected)
        if not expected:
            assert told == ("_files" if shell == "zsh" else "")
