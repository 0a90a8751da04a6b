"""From a spec to its trials, where these do not depend on results: a grid, or seeded random draws."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import MOST_TRIALS
from orchestrator.trial import Params, Trial
from orchestrator.trials.draws import Draws
from orchestrator.trials.labels import label, short, texts_of, varying


@dataclass(frozen=True)
class Expansion:
    """The trials that a file asks for, a line for each invalid combination, and why there are fewer than were drawn."""

    trials: tuple[Trial, ...]
    invalid: tuple[str, ...]
    remark: str = ""


def expand(spec: SweepSpec) -> Expansion:
    """Every trial of a grid or of a random search, each once, in the order in which they run.

    Raises:
        InputError: the grid has too many trials.
        ValueError: the sweep is open-ended.
    """
    if not spec.is_listed:
        raise ValueError(f"{spec.name} has no list of trials")
    return _combinations(spec) if spec.method.is_exhaustive else _draws(spec)


def _combinations(spec: SweepSpec) -> Expansion:
    rows = (*spec.zipped, *spec.configs)
    given = {"seed", *spec.domains, *itertools.chain.from_iterable(rows)} & spec.function.parameters.keys()
    resolved: dict[tuple[str, ...], Params] = {}
    invalid: dict[str, None] = {}
    for values in _grid(spec):
        if len(resolved) == spec.proposal_cap:
            break
        try:
            params = spec.function.resolve(values)
        except ValueError as error:
            combination = " ".join(f"{name}={short(value)}" for name, value in values.items())
            invalid[spec.source.mistake((), f"{combination}: {error}")] = None
            continue
        resolved.setdefault(tuple(repr(params[name]) for name in given), params)  # all others have their defaults
    names = varying(list(resolved.values()))
    texts = texts_of(list(resolved.values()), names)
    trials = [
        spec.function.trial(params, label(spec, params, names, texts) or spec.name) for params in resolved.values()
    ]
    return Expansion(tuple(spec.stacking.arranged(trials)), tuple(invalid))


def _draws(spec: SweepSpec) -> Expansion:
    draws = Draws(spec)
    trials = [*iter(draws.next, None)]
    return Expansion(tuple(spec.stacking.arranged(trials)), tuple(draws.invalid), draws.remark)


def _grid(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    always = [name for name in spec.domains if name not in spec.conditions.wanted]
    axes: list[list[Params]] = [[{name: value} for value in spec.domains[name].grid()] for name in always]
    axes += [list(rows) for rows in (spec.zipped, spec.configs) if rows]
    # seeds vary slowest: every configuration runs once before any is replicated
    axes.insert(0, [{"seed": seed} for seed in spec.seeds] or [{}])
    count = math.prod(len(axis) for axis in axes)
    parts = ({name: value for part in row for name, value in part.items()} for row in itertools.product(*axes))
    combinations = (values for part in parts for values in _with_conditional(part, [*spec.conditions.wanted], spec))
    for index, values in enumerate(combinations):
        if index == MOST_TRIALS or (count > MOST_TRIALS and spec.run_cap is None):
            size = f"{count:,}" if count > MOST_TRIALS else f"more than {MOST_TRIALS:,}"
            hint = f"the limit is {MOST_TRIALS:,}; use method: random with a run_cap"
            raise InputError(f"{spec.source.path}: a grid of {size} trials; {hint}")
        yield values


def _with_conditional(values: Params, names: Sequence[str], spec: SweepSpec) -> Iterator[dict[str, Any]]:
    """These values with all of the conditional parameters, where their conditions hold."""
    if not names:
        yield dict(values)
        return
    name, *rest = names
    varied = spec.conditions.holds(name, values)
    for choice in [{name: value} for value in spec.domains[name].grid()] if varied else [{}]:
        yield from _with_conditional({**values, **choice}, rest, spec)
