"""The questions of `sweep init`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import typer

from orchestrator.commands.template import Parameters, explained
from orchestrator.functions import Parameter, TrialFunction
from orchestrator.spec import nearest
from orchestrator.spec.domains import domain_of
from orchestrator.spec.methods import AUTO, GRID, METHODS, Method, named
from orchestrator.spec.parameter_forms import RangeForm
from orchestrator.spec.source import scalar

AROUND = (2.0, 1.0, 0.5)  # times the default: the values that are suggested
TRIALS = 40  # that are suggested where trials are drawn
WIDE = 10  # the ratio of a range's ends from which on it is logarithmic

T = TypeVar("T")


def ask(function: TrialFunction) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys and the parameters of a new sweep file for a trial function.

    Raises:
        typer.Abort: the user has ended the questions.
    """
    known = function.parameters
    typer.echo("The parameters, and their defaults:")
    for name, parameter in known.items():
        typer.echo(f"  {name}: {parameter.default}  {explained(parameter)}")
    names = _ask("Parameters to vary, separated by commas", _first_range(known), lambda text: _names(text, known))
    parameters = {
        name: _ask(
            f"{name}: values separated by commas, or MIN..MAX",
            _suggested(known[name]),
            partial(_domain, parameter=known[name]),
        )
        for name in names
    }
    methods = [method.name for method in METHODS.values() if _fits(method, parameters)]
    chosen = named(_choose("method", methods, (GRID if GRID.name in methods else AUTO).name))
    keys: dict[str, Any] = {"method": chosen.name}
    if not chosen.is_exhaustive:
        keys["run_cap"] = _ask("Trials in total", str(TRIALS), _count)
    if not chosen.finds_boundary:
        goals = {metric.name: metric.goal for metric in function.declaration.metrics}
        name = _choose("metric", list(goals), next(iter(goals)))
        keys["metric"] = {"name": name, "goal": goals[name]}
        seeds = _ask("Seeds per configuration", "1", _count)
        keys |= {"seeds": list(range(seeds))} if seeds > 1 and "seed" not in names else {}
    for name in _asked_last(known):
        if name not in names:
            default = str(known[name].default)
            parameters[name] = _ask(name.capitalize(), default, partial(_value, parameter=known[name]))
    return keys, parameters


def _fits(method: Method, parameters: Mapping[str, Any]) -> bool:
    """Whether a method can do with what is to vary."""
    ranges = sum("min" in domain for domain in parameters.values())
    if method.finds_boundary:
        return ranges == 1 and len(parameters) <= 2
    return not (method.is_exhaustive and ranges)


def _first_range(known: Parameters) -> str:
    """What is suggested to vary: the first parameter that is any number, or else the first one."""
    numbers = [name for name, parameter in known.items() if parameter.is_number and not parameter.is_integer]
    return next(iter([*numbers, *known]))


def _asked_last(known: Parameters) -> list[str]:
    """The parameters that are asked for whatever varies: the first one, if it is a choice, and how long it takes."""
    first = next(iter(known))
    return [first] * ("enum" in known[first].schema) + ["epochs"] * ("epochs" in known)


def _ask(question: str, suggested: str, answer: Callable[[str], T]) -> T:
    """An answer; the question is asked again until there is one."""

    def understood(text: str) -> T:
        try:
            return answer(text.strip())
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    found: T = typer.prompt(question, default=suggested, value_proc=understood)
    return found


def _choose(what: str, among: Sequence[str], suggested: str) -> str:
    def chosen(text: str) -> str:
        if text not in among:
            raise ValueError(nearest(text, among))
        return text

    return _ask(f"{what.capitalize()} ({', '.join(among)})", suggested, chosen)


def _names(text: str, known: Mapping[str, Parameter]) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in known:
            raise ValueError(f"there is no parameter {name}; {nearest(name, known)}")
    return names


def _domain(text: str, parameter: Parameter) -> dict[str, Any]:
    if ".." not in text:
        return {"values": list(dict.fromkeys(_value(part, parameter) for part in text.split(",")))}
    if not parameter.is_number:
        raise ValueError("a range needs numbers; give values instead")
    low, high = (_value(part, parameter) for part in text.split("..", 1))
    form: dict[str, Any] = {"min": low, "max": high}
    if low > 0 and high >= WIDE * low:
        form["distribution"] = "log_uniform_values"
    domain_of(RangeForm.model_validate(form), parameter)
    return form


def _value(text: str, parameter: Parameter) -> Any:
    return parameter.validate(scalar(text.strip()))


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise ValueError("give a whole number above 0")
    return int(text)


def _suggested(parameter: Parameter) -> str:
    if "enum" in parameter.schema:
        return ", ".join(map(str, parameter.schema["enum"]))
    if not parameter.is_number or not parameter.default:
        return str(parameter.default)
    return ", ".join(f"{_around(parameter, times):g}" for times in AROUND)


def _around(parameter: Parameter, times: float) -> float:
    value: float = parameter.default * times
    return max(1, round(value)) if parameter.is_integer else value
