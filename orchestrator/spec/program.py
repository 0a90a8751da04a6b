"""The program that a sweep file names in place of a trial function."""

import shlex
from collections.abc import Iterator, Sequence
from math import inf

from orchestrator.functions import ProgramFunction, program_function
from orchestrator.programs.command import Command, mistakes_of
from orchestrator.programs.followers.output import problem_of
from orchestrator.programs.program import GRACE, Program
from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.values import flattened


def program_of(form: SweepFile, overrides: Sequence[str], mistakes: Mistakes) -> ProgramFunction:
    """The program, whose parameters are all that the file and `overrides` (`NAME=VALUE`) name."""
    metrics = form.several or ([form.metric] if form.metric else [])
    command = _command(form, mistakes)
    if form.pattern is not None and (problem := problem_of(form.pattern)):
        mistakes.note(("metrics", "pattern"), problem)
    program = Program(
        command,
        mistakes.source.path.parent.absolute(),
        nested=tuple(_nested(form.parameters)),
        seed_parameter=form.seed_parameter or "seed",
        grace=GRACE if form.grace is None else form.grace,
        compared=metrics[0].name if metrics else None,
        pattern=form.pattern,
    )
    names = [name for _, name, _ in flattened(form.parameters, mistakes)]
    names += [*form.zip, *(name for config in form.configs for name in config)]
    names += [text.partition("=")[0] for text in overrides if "=" in text]
    if form.seeds or form.replicates or form.seed_parameter:
        names.append("seed")
    return program_function(program, dict.fromkeys(names))


def stall_seconds_of(form: SweepFile) -> float:
    """How long a trial may be silent. A program may be for as long as it likes, unless the file says otherwise."""
    return inf if form.runs_program and "stall_seconds" not in form.model_fields_set else form.stall_seconds


def _command(form: SweepFile, mistakes: Mistakes) -> Command:
    given = form.command
    words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given or ()]
    command = Command(tuple(words), form.program, tuple(form.show_env))
    place = "command" if given is not None else "program"
    for problem in mistakes_of(command, mistakes.source.path.parent):
        mistakes.note((place,), problem)
    return command


def _nested(parameters: dict[str, object], prefix: str = "") -> Iterator[str]:
    """The names of parameters that have others below them."""
    for name, raw in parameters.items():
        inner = raw.get("parameters") if isinstance(raw, dict) else None
        if isinstance(inner, dict):
            yield f"{prefix}{name}"
            yield from _nested(inner, f"{prefix}{name}.")
