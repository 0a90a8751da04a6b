"""What kind of program a file is, and what runs it where the sweep file gives no command."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.programs.command import DEFAULT, Command

MODULE = ("${env}", "${interpreter}", "-m", "${program}", "${args}")
# in one process, with the arguments in sys.argv; needs ipython and nbformat in the program's environment
NOTEBOOK = ("${env}", "${interpreter}", "-m", "IPython", "--colors=NoColor", "${program}", "--", "${args}")
SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
SCRIPTS = (".py", ".ipynb", *(f".{shell}" for shell in SHELLS))


def command_of(
    command: Sequence[Any] | str | None, program: str | None, folder: Path, show_env: Sequence[str] = ()
) -> Command:
    """The command of a sweep file.

    Args:
        command: its words, or all of them in a text as a shell would split it; or nothing.
        program: the file or module to run, from the folder of the sweep file; or None.
        folder: of the sweep file.
        show_env: variables of the environment whose values are no secrets.

    Raises:
        ValueError: in a sentence: the text cannot be split, or there is no such program.
    """
    if isinstance(command, str):
        try:
            command = shlex.split(command)
        except ValueError as error:
            raise ValueError(f"this is no command line: {str(error).lower()}") from error
    if command:
        return Command(tuple(map(str, command)), program, tuple(show_env))
    if not program:
        raise ValueError("a command needs at least a word, or the file needs a `program`")
    return Command(_words(program, folder), program, tuple(show_env), is_derived=True)


def script(command: Command, folder: Path) -> Path | None:
    """The file that the command runs, as far as its words show: the program, a module, or the first script."""
    if command.program is not None and (command.is_derived or "${program}" in command.words):
        return _file(command.program, folder)
    files = [
        path
        for before, word in zip(("", *command.words), command.words, strict=False)
        if (path := _module(word, folder) if before == "-m" else folder / word) and _is_file(path)
    ]
    scripts = [path for path in files if path.suffix in SCRIPTS]
    return next(iter([*scripts, *(path for path in files if path.is_relative_to(folder))]), None)


def misplaced(command: Command, folder: Path) -> dict[int, str]:
    """What is wrong with scripts that are not where the command looks for them, by the index of the word."""
    names = [command.program or "" if word == "${program}" else word for word in command.words]
    return {
        index: f"there is no {name} in {folder}, where it runs; {hint}"
        for index, name in enumerate(names)
        if Path(name).suffix in SCRIPTS and not _is_file(folder / name) and (hint := _elsewhere(name, folder))
    }


def interpreter(path_variable: str) -> tuple[tuple[str, ...], str | None]:
    """The words for `${interpreter}`, and a sentence where it is not the Python that PATH has."""
    if shutil.which("python", path=path_variable):
        return ("python",), None
    return (sys.executable,), f"there is no python on PATH; programs run with {sys.executable}"


def _words(program: str, folder: Path) -> tuple[str, ...]:
    path = folder / program
    if not _is_file(path):
        if _is_file(path / "__main__.py"):
            return DEFAULT
        if _module(program, folder):
            return MODULE
        hint = _elsewhere(program, folder)
        if not hint and len(program.split()) > 1:
            hint = "put arguments into `command`"
        raise ValueError(f"there is no file or module {program} in {folder}{f'; {hint}' if hint else ''}")
    if path.suffix == ".ipynb":
        return NOTEBOOK
    shebang = _shebang(path)
    runner = next((Path(word).name for word in shebang if Path(word).name != "env" and word[:1] != "-"), "")
    if path.suffix == ".py" or runner.startswith("python"):
        return DEFAULT
    if runner in SHELLS or path.suffix.removeprefix(".") in SHELLS:
        return (*(shebang or ("${env}", "bash")), "${program}", "${args}")
    if os.access(path, os.X_OK):
        return (program if "/" in program else f"./{program}", "${args}")
    return DEFAULT  # as W&B does with all of them


def _elsewhere(name: str, folder: Path) -> str | None:
    """What to write for a program that is in the current folder, or in one above that of the sweep file."""
    for place in (Path.cwd(), *folder.parents):
        if file := next((path for path in (place / name, place / name / "__main__.py") if _is_file(path)), None):
            found = place / name if file.name == "__main__.py" else file
            return f"write {os.path.relpath(found, folder)}"
        if _module(name, place):
            return f"that module is in {place}: put the sweep file there"
    return None


def _shebang(path: Path) -> list[str]:
    """The words of a script's first line, that say what runs it."""
    try:
        with path.open("rb") as file:
            first = file.readline(256)
    except OSError:  # a program may be there to be run, and not to be read
        return []
    return first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []


def _module(name: str, folder: Path) -> Path | None:
    """The file that `python -m` runs, where it is in the folder."""
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        return None
    path = folder.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__main__.py") if _is_file(file)), None)


def _file(name: str, folder: Path) -> Path | None:
    """A file, the main file of a folder, or a module."""
    files = (folder / name, folder / name / "__main__.py")
    return next((file for file in files if _is_file(file)), None) or _module(name, folder)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no word of a command needs to be the name of a file: it may be a whole script
        return False
