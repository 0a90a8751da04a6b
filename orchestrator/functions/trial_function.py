"""A trial function as far as it is known without running it: its parameters, and what it declares."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.functions.modules import Modules
from orchestrator.functions.parameter import MISSING, Parameter
from orchestrator.trial import Params, nested

if TYPE_CHECKING:  # a sweep of a function loads nothing of programs
    from orchestrator.programs.program import Program


@dataclass(frozen=True)
class TrialFunction:
    """A trial function as far as it is known without running it."""

    name: str
    config_type: type
    parameters: Mapping[str, Parameter]
    declaration: Declaration = UNDECLARED
    modules: Modules | None = None  # where its modules are; None where the process looks anyway
    program: "Program | None" = None  # that runs in place of a function

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

    @property
    def digest(self) -> str | None:
        """Of the file of a program; None where there is none, and for functions, which have a version."""
        return self.program.digest if self.program else None

    @property
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
        return params.keys() == self.parameters.keys()

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
        """Of the config dataclass; made when it is first asked for, which takes milliseconds."""
        return TypeAdapter(self.config_type)

    def config(self, params: Params) -> Any:
        """The instance of the config dataclass for resolved parameters."""
        try:
            return self.validator.validate_python(nested(params), by_alias=False, by_name=True)
        except ValidationError as error:
            problem = error.errors()[0]
            place = "".join(f"{part}: " for part in problem["loc"][:1])
            raise ValueError(place + problem["msg"].removeprefix("Value error, ")) from error
        except Exception as error:  # whatever a user's __post_init__ raises
            raise ValueError(f"{type(error).__name__}: {error}") from error
