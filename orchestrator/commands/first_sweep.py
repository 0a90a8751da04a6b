"""The first sweep of a function, from its parameters, or of a script, from the options in its source."""

import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from orchestrator import functions
from orchestrator.commands.first_values import first_values
from orchestrator.commands.hydra_options import hydra_options, is_hydra
from orchestrator.commands.script_options import options_of, positionals_of
from orchestrator.commands.template import composed
from orchestrator.errors import InputError
from orchestrator.functions import FunctionError, Parameter, TrialFunction
from orchestrator.functions.fields import adapter_of, inferred
from orchestrator.functions.parameter import OpenParameter
from orchestrator.functions.reading import items_read
from orchestrator.programs.command import Command
from orchestrator.programs.scripts import SCRIPTS, command_of, script


def stem_of(name: str) -> str:
    """What a sweep is called after what it sweeps: of mine:train and of pkg/mine.py, mine."""
    path = Path(name.partition(":")[0])
    return path.stem if path.suffix in SCRIPTS or "/" in name else str(path).rpartition(".")[2]


def of_function(name: str, file: Path) -> str:
    """The text of a sweep file of a trial function.

    Args:
        name: of the function, as `module:function`.
        file: that the text is for.

    Raises:
        InputError: there is no such function, or it does not say what its parameters are.
    """
    try:
        function = functions.find(name, functions.modules_of(name, [file.parent.absolute(), Path.cwd()]))
    except FunctionError as error:
        raise InputError(f"--trial {name}: {error}") from error
    keys: dict[str, Any] = {"trial": name}
    for metric in function.declaration.metrics[:1]:
        keys["metric"] = {"name": metric.name, "goal": metric.goal}
    known = _read(function) if function.is_open else function.parameters
    if not known:
        typer.echo(f"no parameters of {name} could be read; the file has an example of some, commented out")
    return composed(keys, first_values(known, lambda values: _accepts(function, values)), known)


def _read(function: TrialFunction) -> dict[str, Parameter]:
    """What a function reads of the dict that it takes."""
    with function.active():
        items = items_read(function.name, function.form.argument)
    hints = {name: inferred(default) for name, default in items.items()}
    kinds = {name: OpenParameter if hint is Any else Parameter for name, hint in hints.items()}
    return {name: kinds[name](name, adapter_of(hints[name]), default) for name, default in items.items()}


def _accepts(function: TrialFunction, values: Mapping[str, Any]) -> bool:
    with suppress(ValueError):
        function.resolve(values)
        return True
    return False


def of_program(name: str, file: Path) -> str:
    """The text of a sweep file of a script, or of another program, whose options are not known.

    Args:
        name: its path from here, or that of a module beside the file.
        file: that the text is for.

    Raises:
        InputError: there is no such program, or its source is wrong.
    """
    folder = file.parent.absolute()
    program = os.path.relpath(name, folder) if Path(name).exists() else name
    try:
        command = command_of(None, program, folder)
    except ValueError as error:
        raise InputError(f"--program {name}: {error}") from error
    path = script(command, folder)
    by_hydra = path is not None and is_hydra(path)
    options = [] if path is None else hydra_options(path) if by_hydra else options_of(path)
    has_flags = any(option.is_flag for option in options)
    if any(option.hint is bool and not option.is_flag for option in options):  # which would become a flag
        options, has_flags = [option for option in options if not option.is_flag], False
    if not options:
        typer.echo(f"no options of {name} could be read; the file has an example of some, commented out")
    needed = [] if path is None or by_hydra else positionals_of(path)
    if needed:
        each = "each of them" if len(needed) > 1 else "it"
        typer.echo(
            f"{name} needs {' and '.join(needed)} beside its options: replace {each} in `command` by what is meant"
        )
    passed = "${args_no_hyphens}" if by_hydra else "${args_no_boolean_flags}" if has_flags else ""
    words = _words(command, needed, passed)
    known = {option.name: option.parameter for option in options}
    keys = {"program": program} | ({"command": words} if words else {})
    return composed(keys, first_values(known, lambda _: True), known)


def _words(command: Command, needed: Sequence[str], arguments: str) -> list[str]:
    """The words of a command that passes parameters in another way, or more; none where it is the usual one."""
    passed = [*needed, arguments or "${args}"]
    words = [passed if word == "${args}" else [word] for word in command.words]
    return [*itertools.chain(*words)] if needed or arguments else []
