"""A program as a trial function: its parameters are whatever a sweep file names."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from orchestrator.functions.parameter import MISSING, Parameter
from orchestrator.functions.trial_function import TrialFunction
from orchestrator.programs.program import Program
from orchestrator.trial import Params

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


class OpenParameter(Parameter):
    """A parameter of which nothing is known: the program itself refuses what it does not take."""

    is_number = is_open = True

    def validate(self, value: Any) -> Any:
        """The value, which must be plain JSON.

        Raises:
            ValueError: it is not.
        """
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"must be a finite number, text, a boolean, null, a list or a mapping, not {value!r}"
            ) from error


class SeedParameter(OpenParameter):
    """The seed of a program, which the sweep gives it."""

    is_integer = True


class ProgramFunction(TrialFunction):
    """A program. A parameter that a trial does not have is not given to it."""

    def named(self, name: str) -> Parameter | None:
        return self.parameters.get(name)

    def takes(self, params: Params) -> bool:
        return params.keys() <= self.parameters.keys()

    def resolve(self, values: Params) -> Params:
        given = {**self.defaults, **values}
        return {name: given[name] for name in self.parameters if name in given}

    def config(self, params: Params) -> Params:
        return params


def program_function(program: Program, names: Iterable[str]) -> ProgramFunction:
    """A program with the parameters of these names."""
    parameters: dict[str, Parameter] = {name: OpenParameter(name, _ANYTHING, MISSING) for name in names}
    if "seed" in parameters:
        parameters["seed"] = SeedParameter("seed", _ANYTHING, default=0)
    return ProgramFunction(program.name, dict, parameters, program=program)
