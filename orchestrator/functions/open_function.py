"""A trial function whose parameters are whatever a sweep file names: one that takes a dict, or a program."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

from pydantic import TypeAdapter

from orchestrator.functions.fields import MISSING
from orchestrator.functions.parameter import OpenParameter, Parameter
from orchestrator.functions.trial_function import TrialFunction
from orchestrator.trial import Params, nested

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


class SeedParameter(OpenParameter):
    """The seed, which the sweep gives."""

    is_integer = True


class OpenFunction(TrialFunction):
    """A function of whose parameters nothing is known. One that a trial does not have is not given to it."""

    is_open = True

    def with_names(self, names: Iterable[str]) -> Self:
        return replace(self, parameters=open_parameters(names))

    def named(self, name: str) -> Parameter | None:
        return self.parameters.get(name)

    def takes(self, params: Params) -> bool:
        return params.keys() <= self.parameters.keys()

    def resolve(self, values: Params) -> Params:
        given = {**self.defaults, **values}
        return {name: given[name] for name in self.parameters if name in given}

    def config(self, params: Params) -> Params:
        return nested(params)


def open_parameters(names: Iterable[str]) -> dict[str, Parameter]:
    """Parameters of these names, of which nothing else is known."""
    parameters: dict[str, Parameter] = {name: OpenParameter(name, _ANYTHING, MISSING) for name in names}
    if "seed" in parameters:
        parameters["seed"] = SeedParameter("seed", _ANYTHING, default=0)
    return parameters
