"""Values that a sweep file has, as those of the parameters that it gives them to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.functions import Parameter, TrialFunction
from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes, nearest
from orchestrator.spec.source import Location
from orchestrator.trial import Params

Entry = tuple[Location, str, Any]  # where it stands, the dotted name as the file spells it, and what it is given


@dataclass(frozen=True)
class Given:
    """What a file gives a parameter, and where."""

    location: Location
    parameter: Parameter
    raw: Any


def flattened(parameters: Mapping[str, Any], mistakes: Mistakes) -> list[Entry]:
    """The entries of the file's `parameters`; those of a nested `parameters` are named `outer.inner`."""
    return [*_flattened(("parameters",), "", parameters, mistakes)]


def _flattened(location: Location, prefix: str, parameters: Mapping[str, Any], mistakes: Mistakes) -> Iterator[Entry]:
    for name, raw in parameters.items():
        here = (*location, name)
        if not (isinstance(raw, dict) and isinstance(raw.get("parameters"), dict)):
            yield here, f"{prefix}{name}", raw
            continue
        for key in raw.keys() - {"parameters"}:
            mistakes.note((*here, key), "does not go with nested `parameters`; give it to each of them")
        if not raw["parameters"]:
            mistakes.note((*here, "parameters"), "has no parameters; give it something, or delete the key")
        yield from _flattened((*here, "parameters"), f"{prefix}{name}.", raw["parameters"], mistakes)


def names_in(form: SweepFile, entries: Iterable[Entry], overrides: Iterable[str]) -> list[str]:
    """The names that a file, with the entries of its `parameters`, and `overrides` (`NAME=VALUE`) give something."""
    names = [name for _, name, _ in entries]
    names += [*form.zip, *(name for config in form.configs for name in config)]
    names += [text.partition("=")[0] for text in overrides if "=" in text]
    if form.seeds or form.replicates or form.seed_parameter:
        names.append("seed")
    return [*dict.fromkeys(names)]


def given(entries: Iterable[Entry], function: TrialFunction, mistakes: Mistakes) -> dict[str, Given]:
    """What entries give, by the parameter's own name; a mistake for one that there is not, or that is given twice."""
    found: dict[str, Given] = {}
    for location, name, raw in entries:
        parameter = parameter_named(location, name, function, mistakes)
        if parameter is None:
            continue
        if parameter.name in found:
            mistakes.note(location, f"{parameter.name} is given twice, under two spellings; give it once")
        found.setdefault(parameter.name, Given(location, parameter, raw))
    return found


def row_entries(location: Location, row: Mapping[str, Any]) -> list[Entry]:
    """The entries of a mapping from names to values."""
    return [((*location, name), name, value) for name, value in row.items()]


def parameter_named(location: Location, name: str, function: TrialFunction, mistakes: Mistakes) -> Parameter | None:
    """The function's parameter of this name, as files may spell it; None, and a mistake, where it has none."""
    parameter = function.named(name)
    if parameter is None:
        mistakes.note(location, f"unknown parameter of {function.title}; {nearest(name, function.parameters)}")
    return parameter


def typed(location: Location, value: Any, parameter: Parameter, mistakes: Mistakes) -> Any:
    """The value in its parameter's type; None, and a mistake, where the parameter cannot have it."""
    try:
        return parameter.validate(value)
    except ValueError as error:
        names = parameter.schema.get("enum", [])
        hint = f"; {nearest(str(value), names)}" if names else ""
        mistakes.note(location, f"{error}{hint}")
        return None


def typed_row(row: Mapping[str, Given], mistakes: Mistakes) -> Params:
    """The values of several parameters, each in its type."""
    return {name: typed(entry.location, entry.raw, entry.parameter, mistakes) for name, entry in row.items()}


def refuse_repeats(location: Location, values: Sequence[Any], mistakes: Mistakes) -> None:
    """Note each value that came before; those that no parameter can have were noted already."""
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value is not None and repr(value) in seen:
            mistakes.note((*location, i), f"{value} appears twice")
        seen.add(repr(value))
