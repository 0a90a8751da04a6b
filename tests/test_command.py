"""The command lines of programs: those that W&B's agent makes (tests/wandb_files/by_agent.py), and what is ours."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.programs.command import DEFAULT, MACROS, Command, hidden, json_text, renested
from orchestrator.programs.scripts import command_of, interpreter, misplaced, script

EXPECTED = json.loads((Path(__file__).parent / "wandb_files" / "expected" / "commands.json").read_text())
NOTEBOOK = ["/usr/bin/env", "python", "-m", "IPython", "--colors=NoColor"]
ENVIRONMENT = {"KEY": "hunter2", "SIZE": "4"}


def words(*given: str, program: str | None = "train.py", show_env: tuple[str, ...] = ()) -> Command:
    return Command(given, program, show_env)


def arguments(command: Command, **params: Any) -> list[str]:
    return command.arguments(params, ["python"], "config.json", ENVIRONMENT)


def line(command: Command, **params: Any) -> str:
    return command.line(params, ["python"], "config.json", ENVIRONMENT)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("import sys\nprint(sys.argv[1:])\n")
    return tmp_path


@pytest.mark.parametrize("case", EXPECTED["cases"], ids=lambda case: f"{case['command']} {case['params']}"[:80])
def test_a_command_line_is_that_of_wandbs_agent(case: dict[str, Any]) -> None:
    command = Command(tuple(map(str, case["command"] or DEFAULT)), EXPECTED["program"])
    params = renested(case["params"], case["paths"])
    assert command.arguments(params, ["python"], "config.json", EXPECTED["environment"]) == case["expected"]
    assert command.mistakes() == {}
    assert command.needs_json_file == ("json_file" in case)
    if command.needs_json_file:
        assert json_text(params) == case["json_file"]


def test_the_agent_was_asked_for_every_macro() -> None:
    used = {word for case in EXPECTED["cases"] for word in case["command"] or DEFAULT}
    assert {f"${{{name}}}" for name in MACROS} <= used


def test_parameters_are_nested_by_their_keys_and_not_by_their_dots() -> None:
    flat = {"a.b": 1, "c.d.e": 2, "c.f": 3, "g": {"h": 4}}
    assert renested(flat, {}) == flat
    assert renested(flat, {"c.d.e": ("c", "d.e"), "c.f": ("c", "f")}) == {
        "a.b": 1,
        "c": {"d.e": 2, "f": 3},
        "g": {"h": 4},
    }


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("${arg}", "${arg} is no macro; did you mean ${args}?"),
        ("${args_no_hyphen}", "${args_no_hyphen} is no macro; did you mean ${args_no_hyphens}?"),
        ("${Interpreter}", "${Interpreter} is no macro; did you mean ${interpreter}?"),
        ("${xyz}", "${xyz} is no macro; use one of ${env}, ${interpreter}, "),
        ("${}", "${} is no macro; use one of ${env}, "),
        ("${envvar:}", "${envvar:} is no macro; write ${envvar:NAME} with the name of an environment variable"),
        ("${envvar:A-B}", "${envvar:A-B} is no macro; write ${envvar:NAME}"),
        ("${program} ${args}", "${program} ${args} is no macro; write each macro as a word of its own"),
    ],
)
def test_an_unknown_macro_is_a_mistake_that_names_the_nearest(word: str, sentence: str) -> None:
    (found,) = words("python", word).mistakes().items()
    assert found[0] == 1
    assert found[1].startswith(sentence)


@pytest.mark.parametrize("word", ["", "a b", "it's", "two\nlines\tand\r\\n 'x'", "\x1b[31mé\u200b🙂\n", "\x01f"])
def test_a_command_line_for_people_is_one_that_bash_takes(word: str) -> None:
    shown = line(words("printf", "%s", word))
    assert shown.isprintable()
    printed = subprocess.run(["bash", "-c", shown], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert printed.stdout.decode() == word


def test_the_program_is_wanted_only_where_it_is_used() -> None:
    assert words("python", "a.py", "${args}", program=None).mistakes() == {}
    assert words("python", "${program}", program=None).mistakes() == {
        1: "${program} stands for the key `program`, which the file does not have"
    }


def test_a_macro_within_a_word_is_left_alone_and_said() -> None:
    command = words("bash", "-c", "python t.py ${args}; echo ${HOME}", "--config=${args_json_file}", "${args}")
    assert arguments(command, x=1)[2:4] == list(command.words[2:4])
    assert command.mistakes() == {}
    assert command.remarks() == {
        2: "${args} is left as it is, since it is not a word of its own",
        3: "${args_json_file} is left as it is, since it is not a word of its own",
    }


def test_a_variable_stands_in_words_and_its_value_is_no_macro() -> None:
    environment = {"A": "${args}", "b_1": "x y"}
    command = words("${envvar:A}", "p/${envvar:b_1}${envvar:A}")
    assert command.arguments({"x": 1}, ["python"], "", environment) == ["${args}", "p/x y${args}"]
    assert command.missing({"A": ""}) == ["b_1"]
    with pytest.raises(KeyError):
        command.arguments({}, ["python"], "", {"A": ""})


def test_people_see_no_secrets() -> None:
    command = words("${interpreter}", "${program}", "--key=${envvar:KEY}", "-n", "${envvar:SIZE}", "${envvar:GONE}")
    assert line(command) == "python train.py '--key=***' -n '***' '***'"
    assert command.secrets(ENVIRONMENT) == ["hunter2", "4"]
    shown = words(*command.words, show_env=("SIZE", "GONE"))
    assert line(shown) == "python train.py '--key=***' -n 4 '${envvar:GONE}'"
    assert shown.secrets(ENVIRONMENT) == ["hunter2"]
    assert "hunter2" not in repr(command) + command.identity


def test_the_line_for_people_is_that_which_a_shell_takes() -> None:
    params = {"name": "two words", "quote": "it's"}
    command = words("${interpreter}", "-c", "import sys; print(sys.argv[1:])", "${args}")
    shown = command.line(params, [sys.executable], "", {})
    done = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout == "['--name=two words', \"--quote=it's\"]\n"


@pytest.mark.parametrize(
    ("text", "secrets", "seen"),
    [
        ("key hunter2, hunter22", ["hunter2"], "key ***, ***2"),
        ("a.b+ and aXb+", ["a.b+"], "*** and aXb+"),
        ("long abcdef short abcd", ["abcd", "abcdef"], "long *** short ***"),
        ("epoch 14: 4 of 40, n=4", ["4"], "epoch 14: *** of 40, n=***"),
        ('{"key": "a\\"b\\\\c"}', ['a"b\\c'], '{"key": "***"}'),
        ("ValueError: 'one\\ntwo'", ["one\ntwo"], "ValueError: '***'"),
        ("nothing here", ["", "hunter2"], "nothing here"),
        ("nothing", [], "nothing"),
    ],
)
def test_secrets_are_hidden_in_text(text: str, secrets: list[str], seen: str) -> None:
    assert hidden(text, secrets) == seen


def test_the_identity_is_made_of_the_words_as_they_are_written(program: Path) -> None:
    one = words("python", "${program}", "--key=${envvar:KEY}")
    assert one.identity == words(*one.words, show_env=("KEY",)).identity
    assert one.identity == words("python", "train.py", "--key=${envvar:KEY}", program=None).identity
    assert one.identity != words("python", "${program}", "--key=${envvar:OTHER}").identity
    assert one.identity != words(*one.words, program="other.py").identity


def test_how_a_program_is_run_without_a_command_is_no_part_of_its_identity(program: Path) -> None:
    assert command_of(None, "train.py", program).identity == words(*DEFAULT).identity
    (program / "run").write_text("#!/bin/sh\n")
    before = command_of(None, "run", program)
    (program / "run").write_text("#!/usr/bin/env bash\n")
    after = command_of(None, "run", program)
    assert (before.words, before.identity) == (("/bin/sh", "${program}", "${args}"), after.identity)
    assert after.words != before.words


@pytest.mark.parametrize(
    ("name", "text", "mode", "expected"),
    [
        ("a.py", "", 0o644, ["/usr/bin/env", "python", "a.py", "--x=1"]),
        ("a.py", "#!/bin/sh\n", 0o755, ["/usr/bin/env", "python", "a.py", "--x=1"]),
        ("a", "#!/usr/bin/env python3\n", 0o755, ["/usr/bin/env", "python", "a", "--x=1"]),
        ("a", "#!/usr/bin/env -S python -u\n", 0o644, ["/usr/bin/env", "python", "a", "--x=1"]),
        ("a", "print(1)\n", 0o644, ["/usr/bin/env", "python", "a", "--x=1"]),
        ("a.sh", "#!/bin/bash -e\n", 0o644, ["/bin/bash", "-e", "a.sh", "--x=1"]),
        ("a.sh", "echo\n", 0o644, ["/usr/bin/env", "bash", "a.sh", "--x=1"]),
        ("a", "#!/usr/bin/env zsh\n", 0o644, ["/usr/bin/env", "zsh", "a", "--x=1"]),
        ("a", "\x7fELF\x00", 0o755, ["./a", "--x=1"]),
        ("sub/a", "#!/usr/bin/perl\n", 0o755, ["sub/a", "--x=1"]),
        ("a.ipynb", "{}", 0o644, [*NOTEBOOK, "a.ipynb", "--", "--x=1"]),
    ],
)
def test_what_runs_a_program_follows_from_its_kind(
    tmp_path: Path, name: str, text: str, mode: int, expected: list[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(text)
    (tmp_path / name).chmod(mode)
    command = command_of(None, name, tmp_path)
    assert arguments(command, x=1) == expected
    assert script(command, tmp_path) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        ("pkg.train", "pkg/train.py", ["-m", "pkg.train"]),
        ("pkg", "pkg/__main__.py", ["pkg"]),
        ("pkg.sub", "pkg/sub/__main__.py", ["-m", "pkg.sub"]),
    ],
)
def test_a_module_and_a_folder_with_a_main_file_are_programs(
    tmp_path: Path, name: str, file: str, expected: list[str]
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("import sys\nprint(sys.argv[1:])\n")
    command = command_of(None, name, tmp_path)
    assert arguments(command, x=1) == ["/usr/bin/env", "python", *expected, "--x=1"]
    assert script(command, tmp_path) == tmp_path / file
    started = command.arguments({"x": 1}, [sys.executable], "", {})
    assert subprocess.run(started, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "['--x=1']\n"


def test_a_shell_script_that_is_not_executable_runs_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text('#!/bin/sh\necho "$@"\n')
    assert not (tmp_path / "run.sh").stat().st_mode & stat.S_IXUSR
    started = arguments(command_of(None, "run.sh", tmp_path), x=1, y="a b")
    done = subprocess.run(started, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "--x=1 --y=a b\n"


@pytest.mark.slow
def test_a_notebook_runs_in_its_process_with_its_arguments(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": []}
    code = ["import os, sys\n", "print(os.getpid(), sys.argv[1:])\n", "!echo shell"]
    notebook = {"cells": [{**cell, "source": code}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    command = command_of(None, "a.ipynb", tmp_path)
    started = command.arguments({"x": 1, "y": "a b"}, [sys.executable], "", {})
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")}
    with subprocess.Popen(started, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.splitlines() == [f"{process.pid} ['--x=1', '--y=a b']", "shell"]


@pytest.mark.parametrize(
    ("command", "name", "sentence"),
    [
        (None, "gone.py", "there is no file or module gone.py in "),
        (None, "train.py --fast", "; put arguments into `command`"),
        (None, "x" * 5000, "there is no file or module xxx"),
        ("python 'train.py", None, "this is no command line: no closing quotation"),
        ([], None, "a command needs at least a word, or the file needs a `program`"),
        ("", "", "a command needs at least a word"),
    ],
)
def test_a_program_that_is_not_there_is_a_mistake(program: Path, command: Any, name: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        command_of(command, name, program)


@pytest.fixture
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for sweep files, beside and below programs."""
    for path in (
        "above.py",
        "pkg/part.py",
        "main/__main__.py",
        "project/src/train.py",
        "project/conf/sweeps/",
        "here/now.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).mkdir() if path.endswith("/") else (tmp_path / path).touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "project" / "conf" / "sweeps"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("above.py", "; write ../../../above.py"),
        ("src/train.py", "; write ../../src/train.py"),
        ("main", "; write ../../../main"),
        ("now.py", "; write ../../../here/now.py"),
        ("pkg.part", "; that module is in {root}: put the sweep file there"),
        ("nowhere.py", "sweeps"),
    ],
)
def test_a_program_that_is_elsewhere_is_said_with_what_to_write(
    sweeps: Path, tmp_path: Path, name: str, hint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(hint.format(root=tmp_path)) + "$"):
        command_of(None, name, sweeps)


@pytest.mark.parametrize(
    ("command", "name", "index"),
    [("python above.py", None, 1), (["torchrun", "${program}"], "src/train.py", 1), ("bash -c x now.py", None, 3)],
)
def test_a_script_of_a_command_that_is_elsewhere_is_said(
    sweeps: Path, command: Any, name: str | None, index: int
) -> None:
    ((found, sentence),) = misplaced(command_of(command, name, sweeps), sweeps).items()
    assert found == index
    assert re.fullmatch(r"there is no .+, where it runs; write \.\./.+", sentence)
    assert misplaced(command_of("python nowhere.py ../../../above.py", None, sweeps), sweeps) == {}


def test_a_command_is_a_list_of_words_or_a_text_as_a_shell_splits_it(program: Path) -> None:
    given = command_of(["python", "gone.py", "-n", 2, 0.5, "${args}"], None, program)
    assert given.words == ("python", "gone.py", "-n", "2", "0.5", "${args}")
    assert command_of("python train.py '--name=a b' ${args}", None, program, ["KEY"]) == Command(
        ("python", "train.py", "--name=a b", "${args}"), None, ("KEY",)
    )
    assert command_of([], "train.py", program) == Command(DEFAULT, "train.py", is_derived=True)


@pytest.mark.parametrize(
    ("given", "name", "found"),
    [
        ("python ${program}", "train.py", "train.py"),
        ("torchrun --config conf.yaml train.py ${args}", None, "train.py"),
        ("torchrun -m pkg.main ${args}", None, "pkg/main.py"),
        ("python -m ${program}", "pkg.main", "pkg/main.py"),
        ("./binary conf.yaml", None, "binary"),
        ("python other.py", "train.py", None),
        ("bash -c", None, None),
        (f"{sys.executable} -c", None, None),
    ],
)
def test_the_script_is_what_the_words_show(program: Path, given: str, name: str | None, found: str | None) -> None:
    (program / "pkg").mkdir()
    for file in ("conf.yaml", "pkg/main.py", "binary"):
        (program / file).touch()
    command = command_of(f"{given} '{'x' * 5000}'", name, program)
    assert script(command, program) == (found and program / found)


def test_the_python_of_the_environment_runs_programs_or_the_one_that_runs_us(tmp_path: Path) -> None:
    assert interpreter(str(tmp_path)) == (
        (sys.executable,),
        f"there is no python on PATH; programs run with {sys.executable}",
    )
    (tmp_path / "python").write_text("#!/bin/sh\n")
    (tmp_path / "python").chmod(0o755)
    assert interpreter(f"{tmp_path}{os.pathsep}/nowhere") == (("python",), None)
