"""A program as a trial function: its parameters are whatever a sweep file names."""

from collections.abc import Iterable

from orchestrator.functions.call_form import CallForm
from orchestrator.functions.open_function import OpenFunction, open_parameters
from orchestrator.programs.program import Program
from orchestrator.trial import Params


class ProgramFunction(OpenFunction):
    """A program: it refuses by itself what it does not take."""

    def config(self, params: Params) -> Params:
        return params


def program_function(program: Program, names: Iterable[str]) -> ProgramFunction:
    """A program with the parameters of these names."""
    return ProgramFunction(program.name, CallForm(), open_parameters(names), program=program)
