"""The program that a sweep file names in place of a trial function."""

import os
from collections.abc import Sequence

from orchestrator.functions.program_function import ProgramFunction, program_function
from orchestrator.programs.accepted import refused
from orchestrator.programs.command import DEFAULT, Command
from orchestrator.programs.followers.lines import pattern_mistake
from orchestrator.programs.program import GRACE, Program
from orchestrator.programs.scripts import command_of, interpreter, misplaced, script
from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes, closest
from orchestrator.spec.source import Location
from orchestrator.spec.values import Entry, flattened, names_in

OUTERMOST = 2  # keys that lead to a parameter that is not nested


def program_of(form: SweepFile, overrides: Sequence[str], mistakes: Mistakes, *, is_to_run: bool) -> ProgramFunction:
    """The program, whose parameters are all that the file and `overrides` (`NAME=VALUE`) name.

    Where it is not to run, it need not be there any more.
    """
    metrics = form.several or ([form.metric] if form.metric else [])
    command = _command(form, mistakes, is_to_run)
    entries = flattened(form.parameters, Mistakes(mistakes.source))  # what is wrong there is said with the values
    if is_to_run:
        _warn_of_refused(command, form, entries, mistakes)
    if form.pattern is not None and (problem := pattern_mistake(form.pattern)):
        mistakes.note(("metrics", "pattern"), problem)
    program = Program(
        command,
        mistakes.source.path.parent.absolute(),
        nested={name: _keys(location) for location, name, _ in entries if len(location) > OUTERMOST},
        seed_parameter=form.seed_parameter or "seed",
        infeasible_exit=form.infeasible_exit,
        grace=GRACE if form.grace is None else form.grace,
        compared=metrics[0].name if metrics else None,
        pattern=form.pattern,
    )
    return program_function(program, names_in(form, entries, overrides))


def _warn_of_refused(command: Command, form: SweepFile, entries: Sequence[Entry], mistakes: Mistakes) -> None:
    """Say which parameters the script seems to have no option for."""
    places = {name: location for location, name, _ in entries if len(location) == OUTERMOST}
    if form.seeds or form.replicates or form.seed_parameter:
        key = next(key for key in ("seeds", "replicates", "seed_parameter") if getattr(form, key))
        places.setdefault(form.seed_parameter or "seed", (key,))
    folder = mistakes.source.path.parent.absolute()
    path = script(command, folder)
    source = path.name if path else command.program
    for name, options in refused(command, folder, places).items():
        close = closest(name, options)
        hint = f"did you mean {close}?" if close else f"it has {', '.join(sorted(options)) or 'none'}"
        mistakes.warn(places[name], f"there is no option --{name} in the source of {source}; {hint}")


def _keys(location: Location) -> tuple[str, ...]:
    """The keys of the file that lead to a parameter: those between are all `parameters`."""
    return tuple(map(str, location[1::2]))


def _command(form: SweepFile, mistakes: Mistakes, is_to_run: bool) -> Command:
    place = "program" if form.command is None else "command"
    try:
        command = command_of(form.command, form.program, mistakes.source.path.parent.absolute(), form.show_env)
    except ValueError as error:
        if not is_to_run:
            return Command(DEFAULT, form.program, is_derived=True)
        mistakes.note((place,), str(error))
        return Command((), form.program)
    for word, problem in command.mistakes().items():
        mistakes.note((place, word), problem)
    for word, remark in {**command.remarks(), **misplaced(command, mistakes.source.path.parent.absolute())}.items():
        mistakes.warn((place, word), remark)
    _, other = interpreter(os.environ.get("PATH", os.defpath))
    if other is not None and "${interpreter}" in command.words:
        mistakes.warn((place,), other)
    return command
