"""A trial function as far as it is known without running it: its parameters, and what it declares."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter, ValidationError

from orchestrator.functions.call_form import CallForm
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.functions.fields import MISSING
from orchestrator.functions.modules import Modules, code_of
from orchestrator.functions.parameter import Parameter
from orchestrator.system.code import Code
from orchestrator.system.printable import described
from orchestrator.trial import Params, Proposal, Trial, nested

if TYPE_CHECKING:  # a sweep of a function loads nothing of programs
    from orchestrator.programs.program import Program


@dataclass(frozen=True)
class TrialFunction:
    """A trial function as far as it is known without running it."""

    name: str
    form: CallForm
    parameters: Mapping[str, Parameter]
    declaration: Declaration = UNDECLARED
    modules: Modules | None = None  # where its modules are; None where the process looks anyway
    program: "Program | None" = None  # that runs in place of a function

    is_open = False  # whether its parameters are whatever a sweep file names

    def with_names(self, names: Iterable[str]) -> Self:
        """The function for a sweep file that names these parameters."""
        return self

    def active(self) -> AbstractContextManager[None]:
        """A context in which this process imports what the function imports from where it is."""
        return self.modules.active() if self.modules else nullcontext()

    @property
    def version(self) -> int:
        """Of its results."""
        return self.declaration.version

    @property
    def title(self) -> str:
        """What people know it by."""
        return self.name if self.program is None else self.program.title

    def called(self, name: str) -> str:
        """What a parameter is called by who trains: a program may have a name of its own for the seed."""
        return self.program.seed_parameter if self.program and name == "seed" else name

    @cached_property
    def code(self) -> Code:
        """Its source, and that of the modules beside it that it imports; read when it is first asked for."""
        if self.program is not None:
            return self.program.code
        names = [self.name, self.declaration.stacked, self.declaration.prepare]
        with self.active():
            return code_of([name.partition(":")[0] for name in names if name], self.modules)

    @property
    def digest(self) -> str | None:
        """Of its code; None where there is none to read."""
        return self.code.digest

    def trial(self, params: Params, label: str, proposal: Proposal | None = None) -> Trial:
        """A trial of it, under resolved parameters."""
        return Trial(self.name, self.version, params, label, proposal, as_before=self._as_before(params))

    def completed(self, params: Params) -> Params:
        """The parameters of a trial of this version, in the function's order, with those that are newer than it."""
        if self._newer <= params.keys():
            return params
        return self._ordered({**{name: self.parameters[name].default for name in self._newer}, **params})

    @cached_property
    def _newer(self) -> frozenset[str]:
        """The parameters that came after its version."""
        return frozenset(name for name, since in self.declaration.since.items() if since > self.version)

    def _as_before(self, params: Params) -> frozenset[str]:
        return frozenset(name for name in self._newer if params.get(name) == self.parameters[name].default)

    def _ordered(self, params: Params) -> Params:
        known = {name: params[name] for name in self.parameters if name in params}
        return known | {name: value for name, value in params.items() if name not in known}

    @cached_property
    def defaults(self) -> Params:
        """The default of each parameter that has one."""
        return {
            name: parameter.default for name, parameter in self.parameters.items() if parameter.default is not MISSING
        }

    def named(self, name: str) -> Parameter | None:
        """The parameter that a file means by a name: its own, an alias, or one with dashes for underscores."""
        found = self._spellings.get(name) or self._spellings.get(name.replace("-", "_"))
        return None if found is None else self.parameters[found]

    @cached_property
    def _spellings(self) -> Mapping[str, str]:
        aliases = {alias: parameter.name for parameter in self.parameters.values() for alias in parameter.aliases}
        return aliases | {name: name for name in self.parameters}

    def takes(self, params: Params) -> bool:
        """Whether resolved parameters are this function's by name; those of an older trial may not be."""
        return self.completed(params).keys() == self.parameters.keys()

    def resolve(self, values: Params) -> Params:
        """Values of single parameters, already validated, completed by the defaults and checked together.

        Raises:
            ValueError: they do not go together, or a parameter without a default is missing.
        """
        params = {}
        for name, parameter in self.parameters.items():
            if name not in values and parameter.default is MISSING:
                raise ValueError(f"{name} has no default; give it a value")
            params[name] = values.get(name, parameter.default)
        self.config(params)
        return params

    @cached_property
    def validator(self) -> TypeAdapter[Any]:
        """Of its configuration."""
        return TypeAdapter(self.form.validated)

    def config(self, params: Params) -> Any:
        """What the function is given for resolved parameters."""
        try:
            return self.form.made(self.validator.validate_python(nested(params), by_alias=False, by_name=True))
        except ValidationError as error:
            problem = error.errors()[0]
            place = "".join(f"{part}: " for part in problem["loc"][:1])
            raise ValueError(place + problem["msg"].removeprefix("Value error, ")) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a user's own check raises
            raise ValueError(described(error)) from error
